-- Each file runs once, in the order of the names. To change a table later, add a file.
-- What a rule is called, users read when they break it.
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer TEXT NOT NULL,
  total REAL NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending',
  CONSTRAINT "a customer has a name of 1 to 100 characters" CHECK (length(customer) BETWEEN 1 AND 100),
  CONSTRAINT "a total is a positive number" CHECK (total > 0),
  CONSTRAINT "an order is pending or shipped" CHECK (status IN ('pending', 'shipped'))
) STRICT;
CREATE INDEX orders_by_status ON orders (status);
