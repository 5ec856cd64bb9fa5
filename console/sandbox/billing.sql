-- The second source database: what a billing system writes.
CREATE TABLE IF NOT EXISTS invoices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer text NOT NULL,
    amount_cents bigint NOT NULL,
    state text NOT NULL DEFAULT 'open',
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS invoices_by_state ON invoices (state, id);
CREATE TABLE IF NOT EXISTS refunds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    invoice_id bigint NOT NULL REFERENCES invoices ON DELETE CASCADE,
    amount_cents bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS refunds_by_invoice ON refunds (invoice_id);
INSERT INTO invoices (customer, amount_cents)
SELECT 'Customer ' || n, 1000 + 37 * n FROM generate_series(1, 50) AS n
WHERE NOT EXISTS (SELECT 1 FROM invoices);
