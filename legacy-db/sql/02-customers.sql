CREATE TABLE IF NOT EXISTS public.customers (
  id bigserial PRIMARY KEY,
  email text NOT NULL,
  name text NOT NULL,
  tier text NOT NULL DEFAULT 'standard',
  credit_limit numeric(12, 2),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS customers_updated_at_id ON public.customers (updated_at, id);

CREATE OR REPLACE TRIGGER touch_updated_at BEFORE INSERT OR UPDATE ON public.customers
  FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
