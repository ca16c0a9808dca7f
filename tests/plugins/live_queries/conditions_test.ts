import assert from "node:assert/strict";
import { conditionsOf } from "../../../plugins/live_queries/conditions.ts";

const tables = new Map([
  ["orders", new Set(["id", "customer", "status", "total"])],
  ["items", new Set(["order_id", "n", "status"])],
  ["events", new Set(["room", "start", "end", "window"])],
]);

const conditions = (sql: string) =>
  [...conditionsOf(sql, (table) => tables.get(table))].map(([table, all]) =>
    `${table}: ${
      all.map(({ column, operands }) =>
        `${column}=${
          operands.map((each) => "param" in each ? each.param : JSON.stringify(each.value)).join("|")
        }`
      ).join(" & ")
    }`
  ).join("; ");

Deno.test("a term that all rows must meet gives a condition", () => {
  const cases: [string, string][] = [
    ["SELECT * FROM orders WHERE status = :s", "orders: status=:s"],
    ["select * from Orders where STATUS == $1;", "orders: status=$1"],
    ['SELECT * FROM "orders" AS o WHERE o.[status] IS @s ORDER BY id LIMIT 3', "orders: status=@s"],
    ["SELECT * FROM main.orders o WHERE :s = o.status", "orders: status=:s"],
    ["SELECT * FROM orders WHERE status = 'it''s' AND total > 5", 'orders: status="it\'s"'],
    [
      "SELECT * FROM orders WHERE (status = :s AND (customer = :c)) AND id IN (1, :two)",
      "orders: status=:s & customer=:c & id=1|:two",
    ],
    ["SELECT * FROM orders WHERE total BETWEEN 1 AND 5 AND status = :s", "orders: status=:s"],
    ["SELECT * FROM orders WHERE CASE WHEN a AND b THEN 1 END AND status = :s", "orders: status=:s"],
    ["SELECT * FROM orders o JOIN items i ON i.order_id = o.id WHERE o.status = :s", "orders: status=:s"],
    ["SELECT * FROM orders o, items i WHERE n = :n AND customer = :c", "items: n=:n; orders: customer=:c"],
    [
      "SELECT * FROM items i LEFT JOIN orders o ON o.id = i.order_id WHERE o.status = :s",
      "orders: status=:s",
    ],
    [
      "SELECT count(*) FROM orders WHERE status = :s GROUP BY customer HAVING count(*) > 1",
      "orders: status=:s",
    ],
    ["SELECT * FROM orders WHERE status = :s -- OR 1\n AND id /* or */ = 2", "orders: status=:s & id=2"],
    ["SELECT * FROM orders WHERE status = NULL", "orders: status=null"],
    ["SELECT * FROM events WHERE room = :r AND CASE WHEN start THEN 1 END", "events: room=:r"],
    ['SELECT * FROM events WHERE room = :r AND "end" > 3', "events: room=:r"],
    [
      "SELECT *, sum(start) OVER w FROM events WHERE room = :r WINDOW w AS (ORDER BY start)",
      "events: room=:r",
    ],
    [
      "SELECT * FROM items i LEFT JOIN orders o ON o.id = i.order_id WHERE i.status = :s AND o.id IS :id",
      "items: status=:s",
    ],
    ["SELECT * FROM orders WHERE id = (SELECT max(n) FROM items) AND status = :s", "orders: status=:s"],
  ];
  for (const [sql, expected] of cases) assert.equal(conditions(sql), expected, sql);
});

Deno.test("in case of doubt there is no condition", () => {
  const cases = [
    "SELECT * FROM orders",
    "SELECT * FROM orders WHERE status = :s OR id = 1",
    "SELECT * FROM orders WHERE NOT status = :s",
    "SELECT * FROM orders WHERE status <> :s",
    "SELECT * FROM orders WHERE status IS NOT :s",
    "SELECT * FROM orders WHERE status = ?",
    "SELECT * FROM orders WHERE status = :s || 'x'",
    "SELECT * FROM orders WHERE status = :s COLLATE NOCASE",
    "SELECT * FROM orders WHERE lower(status) = :s",
    "SELECT * FROM orders WHERE status NOT IN (:s)",
    "SELECT * FROM orders WHERE status IN (SELECT status FROM items)",
    "SELECT * FROM orders WHERE status = customer",
    "SELECT * FROM orders WHERE unknown = :s",
    "SELECT * FROM orders WHERE status = :s UNION SELECT * FROM orders",
    "SELECT * FROM orders a JOIN orders b ON a.id = b.id WHERE a.status = :s",
    "SELECT * FROM orders WHERE status = :s AND total > (SELECT avg(total) FROM orders)",
    "SELECT * FROM orders o JOIN items i ON i.order_id = o.id WHERE status = :s",
    "SELECT * FROM orders o RIGHT JOIN items i ON i.order_id = o.id WHERE o.status = :s",
    "SELECT * FROM orders o FULL JOIN items i ON i.order_id = o.id WHERE o.status = :s",
    "SELECT * FROM (SELECT * FROM orders) WHERE status = :s",
    "WITH o AS (SELECT * FROM orders) SELECT * FROM o WHERE status = :s",
    "SELECT * FROM orders, json_each(:list) WHERE status = :s",
    "SELECT (SELECT 1 FROM orders) FROM items WHERE orders.status = :s",
    "INSERT INTO orders SELECT * FROM items",
    // IS matches a missing row.
    "SELECT * FROM items i LEFT JOIN orders o ON o.id = i.order_id WHERE o.status IS :s",
    // Words that can be keywords or names. If they are names, an OR may follow.
    "SELECT * FROM orders WHERE status = :s AND total IS DISTINCT FROM 5 OR id = 1",
    "SELECT start FROM events e, orders WHERE status = :s AND end = 1 OR e.room = 2",
    "SELECT start FROM events e, orders WHERE status = :s AND window = 1 OR e.room = 2",
    "SELECT start FROM events e, orders WHERE CASE WHEN end > 1 AND status = :s AND 1 THEN 1 ELSE 1 END",
    "",
    "((((",
  ];
  for (const sql of cases) assert.ok(!conditions(sql).includes("status"), `${sql}: ${conditions(sql)}`);
});
