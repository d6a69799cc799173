-- A small web shop, for trying out writes: constraints of most kinds, archive columns, version columns.

CREATE TYPE user_status AS ENUM ('invited', 'active', 'suspended');
COMMENT ON TYPE user_status IS 'invited: has not logged in yet; active; suspended: may not order.';
CREATE TYPE order_status AS ENUM ('pending', 'paid', 'shipped', 'delivered', 'cancelled');
COMMENT ON TYPE order_status IS 'An order''s way: pending, paid, shipped, delivered; or cancelled from any of the first two.';

CREATE TABLE users (
  user_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text NOT NULL UNIQUE CHECK (email = lower(email) AND email LIKE '%_@_%'),
  name text NOT NULL CHECK (name <> ''),
  status user_status NOT NULL DEFAULT 'invited',
  country char(2) NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
  created_at timestamptz NOT NULL DEFAULT now(),
  archived_at timestamptz,
  version integer NOT NULL DEFAULT 1
);
COMMENT ON TABLE users IS 'Customers of the shop.';
COMMENT ON COLUMN users.user_id IS 'Number of the user, given by the database.';
COMMENT ON COLUMN users.email IS 'E-mail address in small letters; unique, also among archived users.';
COMMENT ON COLUMN users.name IS 'Full name.';
COMMENT ON COLUMN users.status IS 'invited until the first login, then active; suspended users may not order.';
COMMENT ON COLUMN users.country IS 'Country as two capital letters (ISO 3166), such as DE.';
COMMENT ON COLUMN users.created_at IS 'When the account was made.';
COMMENT ON COLUMN users.archived_at IS 'When the account was closed; null while open. Closed accounts are kept for their orders.';
COMMENT ON COLUMN users.version IS 'Goes up with each change, so that two writers do not overwrite each other.';

CREATE TABLE user_preferences (
  user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  newsletter boolean NOT NULL DEFAULT false,
  language text NOT NULL DEFAULT 'en' CHECK (language ~ '^[a-z]{2}$'),
  settings jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object')
);
COMMENT ON TABLE user_preferences IS 'What a user has set for themselves; at most one row a user.';
COMMENT ON COLUMN user_preferences.user_id IS 'The user.';
COMMENT ON COLUMN user_preferences.newsletter IS 'Whether they want the newsletter.';
COMMENT ON COLUMN user_preferences.language IS 'Language as two small letters (ISO 639), such as de.';
COMMENT ON COLUMN user_preferences.settings IS 'Free settings as an object, e.g. {"theme": "dark", "notify": {"sms": false}}.';

CREATE TABLE products (
  product_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sku text NOT NULL UNIQUE CHECK (sku ~ '^[A-Z]{3}-[0-9]{3}$'),
  name text NOT NULL,
  description text NOT NULL DEFAULT '',
  price numeric(10,2) NOT NULL CHECK (price >= 0),
  tags text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  archived_at timestamptz,
  version integer NOT NULL DEFAULT 1
);
COMMENT ON TABLE products IS 'What the shop sells.';
COMMENT ON COLUMN products.product_id IS 'Number of the product, given by the database.';
COMMENT ON COLUMN products.sku IS 'Article number: three capital letters, a hyphen, three digits, such as BKS-001.';
COMMENT ON COLUMN products.name IS 'Name as shown in the shop.';
COMMENT ON COLUMN products.description IS 'One or two sentences.';
COMMENT ON COLUMN products.price IS 'Today''s price in euros with tax. What an order paid is in order_items.unit_price.';
COMMENT ON COLUMN products.tags IS 'Words to group products by, such as book, kitchen, sale.';
COMMENT ON COLUMN products.created_at IS 'Since when it is in the shop.';
COMMENT ON COLUMN products.archived_at IS 'Since when it is no longer sold; null while it is.';
COMMENT ON COLUMN products.version IS 'Goes up with each change.';
CREATE INDEX products_tags_idx ON products USING gin (tags);

CREATE TABLE inventory (
  product_id bigint PRIMARY KEY REFERENCES products ON DELETE CASCADE,
  quantity integer NOT NULL DEFAULT 0 CHECK (quantity >= 0),
  reserved integer NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  available integer GENERATED ALWAYS AS (quantity - reserved) STORED,
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK (reserved <= quantity)
);
COMMENT ON TABLE inventory IS 'Stock of each product; a product without a row is not kept in stock.';
COMMENT ON COLUMN inventory.product_id IS 'The product.';
COMMENT ON COLUMN inventory.quantity IS 'Pieces in the store.';
COMMENT ON COLUMN inventory.reserved IS 'Of these, pieces promised to orders that are not shipped yet; never more than quantity.';
COMMENT ON COLUMN inventory.available IS 'Pieces that can be sold: quantity less reserved, reckoned by the database.';
COMMENT ON COLUMN inventory.updated_at IS 'When it was last counted or changed.';

CREATE TABLE orders (
  order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users,
  status order_status NOT NULL DEFAULT 'pending',
  total numeric(12,2) NOT NULL DEFAULT 0 CHECK (total >= 0),
  note text,
  created_at timestamptz NOT NULL DEFAULT now(),
  archived_at timestamptz,
  version integer NOT NULL DEFAULT 1
);
COMMENT ON TABLE orders IS 'Orders of users; their lines are in order_items.';
COMMENT ON COLUMN orders.order_id IS 'Number of the order, given by the database.';
COMMENT ON COLUMN orders.user_id IS 'Who ordered.';
COMMENT ON COLUMN orders.status IS 'How far it is.';
COMMENT ON COLUMN orders.total IS 'Sum of quantity × unit_price over its items, in euros with tax. Whoever changes the items sets it anew.';
COMMENT ON COLUMN orders.note IS 'What the user wrote with the order.';
COMMENT ON COLUMN orders.created_at IS 'When it was placed.';
COMMENT ON COLUMN orders.archived_at IS 'When it was put away; null while it is in work or recent.';
COMMENT ON COLUMN orders.version IS 'Goes up with each change.';
CREATE INDEX orders_user_id_created_at_idx ON orders (user_id, created_at DESC);

CREATE TABLE order_items (
  order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
  product_id bigint NOT NULL REFERENCES products,
  quantity integer NOT NULL DEFAULT 1 CHECK (quantity > 0),
  unit_price numeric(10,2) NOT NULL CHECK (unit_price >= 0),
  PRIMARY KEY (order_id, product_id)
);
COMMENT ON TABLE order_items IS 'The lines of an order, one for each product.';
COMMENT ON COLUMN order_items.order_id IS 'The order.';
COMMENT ON COLUMN order_items.product_id IS 'What was ordered.';
COMMENT ON COLUMN order_items.quantity IS 'How many pieces.';
COMMENT ON COLUMN order_items.unit_price IS 'Price of one piece when it was ordered, in euros with tax.';
CREATE INDEX order_items_product_id_idx ON order_items (product_id);

CREATE TABLE payments (
  payment_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  order_id bigint NOT NULL REFERENCES orders,
  amount numeric(12,2) NOT NULL CHECK (amount <> 0),
  method text NOT NULL CHECK (method IN ('card', 'transfer', 'paypal', 'voucher')),
  paid_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE payments IS 'Money that came in for orders, and went back. Never changed or deleted: a mistake is put right by a second row.';
COMMENT ON COLUMN payments.payment_id IS 'Random number of the payment.';
COMMENT ON COLUMN payments.order_id IS 'The order it is for; an order may be paid in parts.';
COMMENT ON COLUMN payments.amount IS 'Euros; negative for money paid back.';
COMMENT ON COLUMN payments.method IS 'How it was paid.';
COMMENT ON COLUMN payments.paid_at IS 'When it came in.';
CREATE INDEX payments_order_id_idx ON payments (order_id);

CREATE TABLE reviews (
  review_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  product_id bigint NOT NULL REFERENCES products ON DELETE CASCADE,
  user_id bigint NOT NULL REFERENCES users,
  rating smallint NOT NULL CHECK (rating BETWEEN 1 AND 5),
  body text,
  created_at timestamptz NOT NULL DEFAULT now(),
  archived_at timestamptz,
  UNIQUE (product_id, user_id)
);
COMMENT ON TABLE reviews IS 'What users think of products; one review a user and product.';
COMMENT ON COLUMN reviews.review_id IS 'Number of the review, given by the database.';
COMMENT ON COLUMN reviews.product_id IS 'The product.';
COMMENT ON COLUMN reviews.user_id IS 'Who wrote it.';
COMMENT ON COLUMN reviews.rating IS 'Stars, 1 (bad) to 5 (excellent).';
COMMENT ON COLUMN reviews.body IS 'What they wrote; null if they gave stars alone.';
COMMENT ON COLUMN reviews.created_at IS 'When it was written.';
COMMENT ON COLUMN reviews.archived_at IS 'When it was hidden by the shop; null while shown.';
CREATE INDEX reviews_user_id_idx ON reviews (user_id);

INSERT INTO users (email, name, status, country, created_at, archived_at) VALUES
('ada@example.com', 'Ada Marsh', 'active', 'GB', '2025-01-06 09:00+00', NULL),
('bruno@example.com', 'Bruno Keller', 'active', 'DE', '2025-01-09 09:17+00', NULL),
('chiara@example.com', 'Chiara Rossi', 'active', 'IT', '2025-01-12 09:34+00', NULL),
('dmitri@example.com', 'Dmitri Petrov', 'active', 'FI', '2025-01-15 09:51+00', NULL),
('elif@example.com', 'Elif Yılmaz', 'active', 'TR', '2025-01-18 10:08+00', NULL),
('fatou@example.com', 'Fatou Diop', 'active', 'FR', '2025-01-21 10:25+00', NULL),
('georg@example.com', 'Georg O''Neil', 'suspended', 'IE', '2025-01-24 10:42+00', NULL),
('hana@example.com', 'Hana Suzuki', 'active', 'JP', '2025-01-27 10:59+00', NULL),
('ivan@example.com', 'Iván García', 'invited', 'ES', '2025-01-30 11:16+00', NULL),
('julia@example.com', 'Julia Nowak', 'active', 'PL', '2025-02-02 11:33+00', '2025-06-30 12:00+00');

INSERT INTO user_preferences (user_id, newsletter, language, settings) VALUES
(1, true, 'en', '{"theme": "dark"}'), (2, false, 'de', '{"theme": "light", "notify": {"sms": true}}'), (3, true, 'it', '{}'),
(5, false, 'tr', '{"theme": "dark", "notify": {"sms": false}}'), (6, true, 'fr', '{}'), (8, false, 'ja', '{"page_size": 50}');

INSERT INTO products (sku, name, description, price, tags, created_at, archived_at) VALUES
('BKS-001', 'The Art of Bread', 'A book of forty loaves.', 29.90, '{book,kitchen}', '2024-11-27 09:00+00', NULL),
('BKS-002', 'Maps of the North', 'An atlas of Scandinavia.', 44.00, '{book,travel}', '2024-11-28 09:00+00', NULL),
('BKS-003', 'Learn SQL in a Week', 'Seven chapters with exercises.', 34.50, '{book,computer}', '2024-11-29 09:00+00', NULL),
('KIT-001', 'Cast-iron Pan', '26 cm, seasoned.', 59.00, '{kitchen}', '2024-11-30 09:00+00', NULL),
('KIT-002', 'Chef''s Knife', '20 cm blade, forged.', 89.00, '{kitchen}', '2024-12-01 09:00+00', NULL),
('KIT-003', 'Espresso Cups', 'Set of four, porcelain.', 24.00, '{kitchen,coffee}', '2024-12-02 09:00+00', NULL),
('KIT-004', 'Hand Grinder', 'Steel burrs.', 75.50, '{kitchen,coffee}', '2024-12-03 09:00+00', NULL),
('COF-001', 'Coffee, Ethiopia', '250 g, light roast.', 12.50, '{coffee,food}', '2024-12-04 09:00+00', NULL),
('COF-002', 'Coffee, Brazil', '1 kg, dark roast.', 27.90, '{coffee,food}', '2024-12-05 09:00+00', NULL),
('TEA-001', 'Green Tea', '100 g, first flush.', 14.20, '{tea,food}', '2024-12-06 09:00+00', NULL),
('TRV-001', 'Rucksack 30 l', 'Waterproof.', 119.00, '{travel}', '2024-12-07 09:00+00', NULL),
('TRV-002', 'Water Bottle', '0.7 l, steel.', 22.00, '{travel,sale}', '2024-12-08 09:00+00', NULL),
('TRV-003', 'Headlamp', '400 lumens.', 39.95, '{travel}', '2024-12-09 09:00+00', NULL),
('OFF-001', 'Notebook A5', 'Dotted, 192 pages.', 9.80, '{office}', '2024-12-10 09:00+00', NULL),
('OFF-002', 'Fountain Pen', 'Medium nib.', 48.00, '{office}', '2024-12-11 09:00+00', NULL),
('OFF-003', 'Desk Lamp', 'LED, dimmable.', 65.00, '{office}', '2024-12-12 09:00+00', NULL),
('CMP-001', 'Mechanical Keyboard', 'Brown switches.', 129.00, '{computer,office}', '2024-12-13 09:00+00', NULL),
('CMP-002', 'USB-C Hub', 'Seven ports.', 49.90, '{computer}', '2024-12-14 09:00+00', NULL),
('CMP-003', 'Trackball', 'Right hand.', 54.90, '{computer,sale}', '2024-12-15 09:00+00', NULL),
('OLD-001', 'CD Rack', 'For 80 discs.', 19.00, '{}', '2024-12-16 09:00+00', '2025-03-01 00:00+00');

INSERT INTO inventory (product_id, quantity, reserved, updated_at) VALUES
(1, 12, 0, '2025-09-01 06:00+00'), (2, 25, 0, '2025-09-01 06:00+00'), (3, 0, 0, '2025-09-01 06:00+00'), (4, 0, 0, '2025-09-01 06:00+00'),
(5, 40, 0, '2025-09-01 06:00+00'), (6, 40, 0, '2025-09-01 06:00+00'), (7, 0, 0, '2025-09-01 06:00+00'), (8, 25, 2, '2025-09-01 06:00+00'),
(9, 0, 0, '2025-09-01 06:00+00'), (10, 0, 0, '2025-09-01 06:00+00'), (11, 25, 0, '2025-09-01 06:00+00'), (12, 150, 4, '2025-09-01 06:00+00'),
(13, 0, 0, '2025-09-01 06:00+00'), (14, 80, 4, '2025-09-01 06:00+00'), (15, 0, 0, '2025-09-01 06:00+00'), (16, 40, 2, '2025-09-01 06:00+00'),
(17, 0, 0, '2025-09-01 06:00+00'), (18, 0, 0, '2025-09-01 06:00+00'), (19, 150, 0, '2025-09-01 06:00+00');

INSERT INTO orders (user_id, status, total, note, created_at, archived_at) VALUES
(2, 'delivered', 54.90, NULL, '2025-02-11 16:09+00', '2025-04-12 16:09+00'),
(1, 'delivered', 151.00, NULL, '2025-02-18 17:48+00', '2025-04-19 17:48+00'),
(3, 'delivered', 115.00, 'Please ring twice.', '2025-02-25 22:54+00', '2025-04-26 22:54+00'),
(10, 'delivered', 516.00, NULL, '2025-03-01 00:54+00', '2025-04-30 00:54+00'),
(1, 'delivered', 277.50, NULL, '2025-03-10 02:04+00', '2025-05-09 02:04+00'),
(2, 'delivered', 401.40, NULL, '2025-03-17 04:56+00', '2025-05-16 04:56+00'), (4, 'cancelled', 162.45, NULL, '2025-03-21 12:16+00', NULL),
(2, 'delivered', 341.00, NULL, '2025-03-23 20:32+00', NULL), (6, 'delivered', 277.85, NULL, '2025-03-26 04:19+00', NULL),
(1, 'delivered', 208.70, NULL, '2025-03-28 06:03+00', NULL), (6, 'delivered', 347.80, NULL, '2025-04-01 10:21+00', NULL),
(8, 'delivered', 416.90, 'A present: no invoice in the parcel.', '2025-04-08 14:52+00', NULL),
(4, 'delivered', 175.50, NULL, '2025-04-14 16:25+00', NULL), (3, 'delivered', 194.00, NULL, '2025-04-19 23:15+00', NULL),
(6, 'delivered', 165.00, NULL, '2025-04-27 06:52+00', NULL), (6, 'delivered', 118.00, NULL, '2025-04-29 15:02+00', NULL),
(6, 'delivered', 485.45, NULL, '2025-05-06 16:30+00', NULL), (2, 'delivered', 194.60, NULL, '2025-05-15 22:28+00', NULL),
(5, 'shipped', 283.70, NULL, '2025-05-18 02:45+00', NULL), (10, 'paid', 585.70, NULL, '2025-05-25 10:34+00', NULL),
(5, 'cancelled', 165.40, NULL, '2025-05-28 20:03+00', NULL), (10, 'shipped', 378.30, NULL, '2025-06-03 00:46+00', NULL),
(3, 'shipped', 170.00, NULL, '2025-06-08 08:04+00', NULL), (3, 'paid', 148.60, NULL, '2025-06-17 10:50+00', NULL),
(8, 'shipped', 262.85, NULL, '2025-06-24 11:09+00', NULL), (7, 'pending', 475.90, 'Needed by Friday.', '2025-06-30 13:21+00', NULL),
(2, 'pending', 203.00, NULL, '2025-07-06 14:19+00', NULL), (8, 'pending', 357.00, NULL, '2025-07-12 16:23+00', NULL),
(1, 'pending', 83.00, NULL, '2025-07-18 18:35+00', NULL), (5, 'pending', 90.60, NULL, '2025-07-23 23:54+00', NULL);

INSERT INTO order_items (order_id, product_id, quantity, unit_price) VALUES
(1, 19, 1, 54.90), (2, 7, 2, 75.50), (3, 3, 3, 34.50), (3, 8, 1, 11.50), (4, 5, 2, 89.00), (4, 6, 1, 24.00), (4, 11, 1, 119.00),
(4, 16, 3, 65.00), (5, 2, 1, 44.00), (5, 3, 3, 34.50), (5, 16, 2, 65.00), (6, 2, 1, 44.00), (6, 5, 2, 89.00), (6, 7, 2, 75.50),
(6, 10, 2, 14.20), (7, 5, 1, 89.00), (7, 8, 1, 11.50), (7, 12, 1, 22.00), (7, 13, 1, 39.95), (8, 1, 2, 29.90), (8, 5, 3, 89.00),
(8, 10, 1, 14.20), (9, 4, 2, 59.00), (9, 13, 1, 39.95), (9, 16, 1, 65.00), (9, 19, 1, 54.90), (10, 4, 1, 59.00), (10, 18, 3, 49.90),
(11, 4, 2, 59.00), (11, 16, 2, 65.00), (11, 18, 2, 49.90), (12, 1, 1, 29.90), (12, 17, 3, 129.00), (13, 6, 3, 24.00), (13, 8, 3, 12.50),
(13, 12, 3, 22.00), (14, 16, 1, 65.00), (14, 17, 1, 129.00), (15, 3, 1, 34.50), (15, 4, 2, 59.00), (15, 8, 1, 12.50), (16, 4, 2, 59.00),
(17, 3, 1, 34.50), (17, 6, 1, 24.00), (17, 13, 1, 39.95), (17, 17, 3, 129.00), (18, 1, 1, 29.90), (18, 19, 3, 54.90), (19, 11, 1, 119.00),
(19, 19, 3, 54.90), (20, 1, 2, 29.90), (20, 5, 1, 89.00), (20, 17, 3, 129.00), (20, 18, 1, 49.90), (21, 2, 1, 44.00), (21, 4, 1, 59.00),
(21, 8, 1, 12.50), (21, 18, 1, 49.90), (22, 8, 3, 12.50), (22, 9, 1, 27.90), (22, 17, 2, 129.00), (22, 19, 1, 54.90), (23, 4, 1, 59.00),
(23, 5, 1, 89.00), (23, 12, 1, 22.00), (24, 14, 2, 9.80), (24, 17, 1, 129.00), (25, 1, 3, 29.90), (25, 10, 1, 14.20), (25, 11, 1, 119.00),
(25, 13, 1, 39.95), (26, 5, 3, 89.00), (26, 13, 2, 39.95), (26, 17, 1, 129.00), (27, 1, 1, 29.90), (27, 3, 1, 34.50), (27, 9, 3, 27.90),
(27, 19, 1, 54.90), (28, 11, 3, 119.00), (29, 4, 1, 59.00), (29, 6, 1, 24.00), (30, 10, 3, 14.20), (30, 15, 1, 48.00);

INSERT INTO payments (payment_id, order_id, amount, method, paid_at) VALUES
('a38fd547-923a-4369-94e3-bf911a61dbe2', 1, 54.90, 'card', '2025-02-11 16:10+00'),
('95e761d1-7731-4f10-906b-f2efc6f87718', 2, 151.00, 'transfer', '2025-02-18 17:51+00'),
('72e6cc3a-babc-4d20-97ee-05cde00902c7', 3, 115.00, 'transfer', '2025-02-25 22:57+00'),
('98289fcd-59a5-4a7b-b1fe-e08f57124242', 4, 516.00, 'paypal', '2025-03-01 00:57+00'),
('ab2cd31e-e315-4288-a2c3-3a4fb774eb52', 5, 10.00, 'voucher', '2025-03-10 02:04+00'),
('7631a992-f0ce-4835-85c6-af0758d5563d', 5, 267.50, 'paypal', '2025-03-10 02:04+00'),
('8ca81811-66d2-4876-b2fd-f2022a96fb1a', 6, 401.40, 'card', '2025-03-17 04:59+00'),
('dbf4a8b2-b0c4-412d-a020-3626f3fe39c0', 8, 341.00, 'paypal', '2025-03-24 20:32+00'),
('570dc195-1c24-42f9-a98c-b3a570ccec31', 9, 277.85, 'card', '2025-03-27 04:19+00'),
('9d33a01c-353c-431c-9fd4-3f371200339d', 10, 208.70, 'card', '2025-03-28 06:06+00'),
('1a28f7b3-24e4-425a-95fc-899e4fd58dbe', 11, 347.80, 'transfer', '2025-04-02 10:21+00'),
('ea057543-8b0d-490b-b0a8-44e52587be6b', 12, 416.90, 'paypal', '2025-04-08 14:53+00'),
('cfbf3360-9cfc-4652-b919-4242a2eddbbd', 13, 175.50, 'paypal', '2025-04-14 16:26+00'),
('42594052-78e4-498d-8787-f93bca44eb86', 14, 194.00, 'card', '2025-04-19 23:16+00'),
('fc394724-9fc2-40a1-bb8f-2ab53451d013', 15, 165.00, 'paypal', '2025-04-28 06:52+00'),
('6f15b6ad-2db3-497f-a396-39be7a605a91', 16, 118.00, 'card', '2025-04-30 15:02+00'),
('9c9011ef-256b-4df9-a7e6-529bce76e9f4', 17, 485.45, 'transfer', '2025-05-07 16:30+00'),
('31dec4f4-df2a-4b79-bc8e-80b36f0e2289', 18, 194.60, 'card', '2025-05-15 22:29+00'),
('e8f6e0bd-0f97-4044-a18e-0b7bd58dcdb4', 19, 283.70, 'transfer', '2025-05-19 02:45+00'),
('9e7d6b37-7936-4536-a43d-35702c1eea1f', 20, 585.70, 'card', '2025-05-26 10:34+00'),
('e4ddf9b9-c28e-4907-8722-35c28fcd7f40', 21, 165.40, 'card', '2025-05-28 20:03+00'),
('535b6a43-7178-4a0a-9038-f0b5e998d0ee', 21, -165.40, 'card', '2025-05-30 20:03+00'),
('50e40d54-712e-46b3-a471-fde41f229dd0', 22, 378.30, 'transfer', '2025-06-03 00:47+00'),
('18189af4-f3d7-4f82-bf26-8ea03836e865', 23, 170.00, 'transfer', '2025-06-08 08:07+00'),
('179a071e-518a-4452-9b4b-1b75321c5296', 24, 148.60, 'transfer', '2025-06-18 10:50+00'),
('0a227385-459c-445c-83fc-052715850a03', 25, 262.85, 'card', '2025-06-24 11:10+00');

INSERT INTO reviews (product_id, user_id, rating, body, created_at) VALUES
(1, 1, 5, 'The rye loaf alone is worth it.', '2025-04-06 09:00+00'), (1, 2, 4, NULL, '2025-04-12 09:00+00'),
(4, 1, 5, 'Heavy, and will outlive me.', '2025-04-18 09:00+00'), (4, 3, 4, 'Needs care at first.', '2025-04-24 09:00+00'),
(5, 2, 5, NULL, '2025-04-30 09:00+00'), (7, 5, 3, 'Loud.', '2025-05-06 09:00+00'), (8, 6, 5, 'Bright and clean.', '2025-05-12 09:00+00'),
(8, 8, 4, NULL, '2025-05-18 09:00+00'), (9, 2, 4, 'Good for milk.', '2025-05-24 09:00+00'),
(11, 4, 2, 'A seam opened after a month.', '2025-05-30 09:00+00'), (11, 6, 5, NULL, '2025-06-05 09:00+00'),
(17, 8, 5, 'Best keys I have had.', '2025-06-11 09:00+00'), (18, 1, 3, 'Gets warm.', '2025-06-17 09:00+00'),
(3, 5, 4, 'Short and clear.', '2025-06-23 09:00+00');
