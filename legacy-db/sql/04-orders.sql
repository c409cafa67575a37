-- A customer with orders cannot be deleted: the books need them.
CREATE TABLE IF NOT EXISTS public.orders (
  id bigserial PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES public.customers (id) ON DELETE RESTRICT,
  status text NOT NULL DEFAULT 'new',
  note text,
  placed_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS orders_updated_at_id ON public.orders (updated_at, id);
CREATE INDEX IF NOT EXISTS orders_customer_id ON public.orders (customer_id);

CREATE OR REPLACE TRIGGER touch_updated_at BEFORE INSERT OR UPDATE ON public.orders
  FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
