CREATE TABLE IF NOT EXISTS public.products (
  id bigserial PRIMARY KEY,
  sku text NOT NULL,
  name text NOT NULL,
  description text NOT NULL DEFAULT '',
  price numeric(12, 2) NOT NULL,
  active boolean NOT NULL DEFAULT true,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS products_updated_at_id ON public.products (updated_at, id);

CREATE OR REPLACE TRIGGER touch_updated_at BEFORE INSERT OR UPDATE ON public.products
  FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
