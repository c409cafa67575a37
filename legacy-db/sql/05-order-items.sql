-- Items go with their order; a product that was ever sold stays.
CREATE TABLE IF NOT EXISTS public.order_items (
  id bigserial PRIMARY KEY,
  order_id bigint NOT NULL REFERENCES public.orders (id) ON DELETE CASCADE,
  product_id bigint NOT NULL REFERENCES public.products (id) ON DELETE RESTRICT,
  quantity integer NOT NULL,
  unit_price numeric(12, 2) NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS order_items_updated_at_id ON public.order_items (updated_at, id);
CREATE INDEX IF NOT EXISTS order_items_order_id ON public.order_items (order_id);

CREATE OR REPLACE TRIGGER touch_updated_at BEFORE INSERT OR UPDATE ON public.order_items
  FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
