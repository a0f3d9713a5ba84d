-- after the manner of Prisma: quoted CamelCase names, DATETIME as milliseconds since 1970, cuid keys, JSONB
CREATE TABLE "_prisma_migrations" ("id" TEXT PRIMARY KEY NOT NULL, "checksum" TEXT NOT NULL, "finished_at" DATETIME, "migration_name" TEXT NOT NULL, "logs" TEXT, "rolled_back_at" DATETIME, "started_at" DATETIME NOT NULL DEFAULT current_timestamp, "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0);
CREATE TABLE "User" ("id" TEXT NOT NULL PRIMARY KEY, "email" TEXT NOT NULL, "isAdmin" BOOLEAN NOT NULL DEFAULT false, "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" DATETIME NOT NULL, "balance" DECIMAL NOT NULL DEFAULT 0, "avatar" BLOB, "bigCount" BIGINT);
CREATE TABLE "Post" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "title" TEXT NOT NULL, "meta" JSONB, "authorId" TEXT NOT NULL, "order" INTEGER NOT NULL DEFAULT 0, CONSTRAINT "Post_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE);
CREATE TABLE "_PostToTag" ("A" INTEGER NOT NULL, "B" TEXT NOT NULL, CONSTRAINT "_PostToTag_A_fkey" FOREIGN KEY ("A") REFERENCES "Post" ("id") ON DELETE CASCADE ON UPDATE CASCADE);
CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
CREATE INDEX "Post_authorId_order_idx" ON "Post"("authorId", "order" DESC);
CREATE UNIQUE INDEX "_PostToTag_AB_unique" ON "_PostToTag"("A", "B");
INSERT INTO "_prisma_migrations" VALUES ('a1', 'c0ffee', 1709287200123, '20240301_init', NULL, NULL, 1709287200000, 1);
INSERT INTO "User" VALUES ('ckl1', 'ada@example.org', 1, 1709287200123, 1709287200999, 10.25, x'89504e47', 9007199254740993), ('ckl2', 'bob@example.org', 0, 1609459200000, 1609459200000, 0, NULL, NULL);
INSERT INTO "Post" ("title", "meta", "authorId") VALUES ('a', '{"tags":["x"]}', 'ckl1'), ('b', NULL, 'ckl1');
INSERT INTO "_PostToTag" VALUES (1, 'x'), (2, 'x');
