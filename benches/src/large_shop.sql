-- The sample shop a thousand times: copy k of a row has its keys moved on by k times as many as there are. Of the
-- products there are fifty times as many, so that each is ordered more often.

INSERT INTO users (email, name, status, country, created_at, archived_at)
SELECT k || '.' || email, name || ' ' || k, status, country, created_at + k * interval '1 minute', archived_at
FROM users, generate_series(1, 999) AS k ORDER BY k, user_id;

INSERT INTO user_preferences (user_id, newsletter, language, settings)
SELECT user_id + k * 10, newsletter, language, settings FROM user_preferences, generate_series(1, 999) AS k;

INSERT INTO products (sku, name, description, price, tags, created_at, archived_at)
SELECT left(sku, 4) || to_char(k * 10 + right(sku, 3)::integer, 'FM000'), name || ' ' || k, description, price + k, tags,
       created_at, archived_at
FROM products, generate_series(1, 49) AS k ORDER BY k, product_id;

INSERT INTO orders (user_id, status, total, note, created_at, archived_at)
SELECT user_id + k * 10, status, total + k, note, created_at + k * interval '1 minute', archived_at
FROM orders, generate_series(1, 999) AS k ORDER BY k, order_id;

INSERT INTO order_items (order_id, product_id, quantity, unit_price)
SELECT order_id + k * 30, product_id + k % 50 * 20, quantity, unit_price FROM order_items, generate_series(1, 999) AS k;

INSERT INTO reviews (product_id, user_id, rating, body, created_at)
SELECT product_id + k % 50 * 20, user_id + k * 10, rating, body, created_at FROM reviews, generate_series(1, 999) AS k;

ANALYZE;
