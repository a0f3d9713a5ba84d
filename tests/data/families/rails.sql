-- after the manner of a Rails application: schema_migrations, datetime(6), polymorphic references, expression defaults
CREATE TABLE "schema_migrations" ("version" varchar NOT NULL PRIMARY KEY);
CREATE TABLE "ar_internal_metadata" ("key" varchar NOT NULL PRIMARY KEY, "value" varchar, "created_at" datetime(6) NOT NULL, "updated_at" datetime(6) NOT NULL);
CREATE TABLE "users" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "email" varchar DEFAULT '' NOT NULL, "admin" boolean DEFAULT 0 NOT NULL, "role" integer DEFAULT 0, "settings" json DEFAULT '{}', "created_at" datetime(6) NOT NULL, "updated_at" datetime(6) DEFAULT CURRENT_TIMESTAMP NOT NULL);
CREATE TABLE "articles" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "user_id" integer NOT NULL, "title" varchar(120), "body" text, "price" decimal(8,2) DEFAULT 0.0, "published" boolean, "slug" varchar GENERATED ALWAYS AS (LOWER("title")) STORED, CONSTRAINT "fk_rails_3d31dad1cc" FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE, CONSTRAINT "chk_rails_price" CHECK (price >= 0));
CREATE TABLE "comments" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "commentable_type" varchar NOT NULL, "commentable_id" bigint NOT NULL, "body" text);
CREATE UNIQUE INDEX "index_users_on_email" ON "users" ("email");
CREATE INDEX "index_users_on_lower_email" ON "users" (lower(email));
CREATE INDEX "index_articles_on_published" ON "articles" ("published") WHERE "published" = 1;
CREATE INDEX "index_comments_on_commentable" ON "comments" ("commentable_type", "commentable_id" DESC);
CREATE VIEW "published_articles" AS SELECT articles.id, articles.title, users.email FROM articles INNER JOIN users ON users.id = articles.user_id WHERE articles.published = 1;
INSERT INTO schema_migrations VALUES ('20240301100000'), ('20240302100000');
INSERT INTO ar_internal_metadata VALUES ('environment', 'production', '2024-03-01 10:00:00.000001', '2024-03-01 10:00:00.000001');
INSERT INTO users (email, admin, role, created_at, updated_at) VALUES ('Ada@example.org', 1, 2, '2024-03-01 10:00:00.654321', '2024-03-01 10:00:00.654321'), ('bob@example.org', 0, 0, '2024-03-01 11:00:00', '2024-03-01 11:00:00');
INSERT INTO articles (user_id, title, body, price, published) VALUES (1, 'Hello World', 'x', 9.99, 1), (2, NULL, NULL, 0, NULL);
INSERT INTO comments (commentable_type, commentable_id, body) VALUES ('Article', 1, 'nice');
