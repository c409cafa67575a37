-- Keeps updated_at as such systems do: the time the transaction began, not the time it committed.
-- That gap is what makes a naive watermark lose rows, so it is kept on purpose.
CREATE OR REPLACE FUNCTION public.touch_updated_at() RETURNS trigger
  LANGUAGE plpgsql
AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END
$$;
