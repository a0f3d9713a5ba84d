-- after the manner of Radarr (FluentMigrator): quoted CamelCase, .NET times with seven digits, version table, JSON as TEXT
CREATE TABLE "VersionInfo" ("Version" INTEGER NOT NULL, "AppliedOn" DATETIME, "Description" TEXT);
CREATE UNIQUE INDEX "UC_Version" ON "VersionInfo" ("Version" ASC);
CREATE TABLE "Config" ("Id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "Key" TEXT NOT NULL, "Value" TEXT NOT NULL);
CREATE TABLE "Movies" ("Id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "Path" TEXT NOT NULL, "Monitored" INTEGER NOT NULL, "QualityProfileId" INTEGER NOT NULL, "Added" DATETIME, "Tags" TEXT, "AddOptions" TEXT, "LastSearchTime" DATETIME, "MovieFileId" INTEGER NOT NULL DEFAULT 0);
CREATE TABLE "MovieMetadata" ("Id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "TmdbId" INTEGER NOT NULL, "Title" TEXT NOT NULL, "Popularity" NUMERIC, "InCinemas" DATETIME, "Runtime" INTEGER NOT NULL);
CREATE TABLE "History" ("Id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "SourceTitle" TEXT NOT NULL, "Date" DATETIME NOT NULL, "Data" TEXT NOT NULL, "DownloadId" TEXT, "MovieId" INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX "IX_Config_Key" ON "Config" ("Key" ASC);
CREATE UNIQUE INDEX "IX_MovieMetadata_TmdbId" ON "MovieMetadata" ("TmdbId" ASC);
CREATE INDEX "IX_History_MovieId_Date" ON "History" ("MovieId" ASC, "Date" DESC);
INSERT INTO "VersionInfo" VALUES (1, '2024-03-01T10:00:00', 'InitialSetup'), (236, '2024-03-01T10:00:01', 'clear_last_search');
INSERT INTO "Config" ("Key", "Value") VALUES ('cleanupmetadataimages', 'False');
INSERT INTO "Movies" ("Path", "Monitored", "QualityProfileId", "Added", "Tags") VALUES ('/movies/Metropolis (1927)', 1, 4, '2024-03-01 10:00:00.1234567Z', '[]');
INSERT INTO "MovieMetadata" ("TmdbId", "Title", "Popularity", "InCinemas", "Runtime") VALUES (19, 'Metropolis', 27.125, '1927-01-10 00:00:00Z', 153);
INSERT INTO "History" ("SourceTitle", "Date", "Data") VALUES ('Metropolis.1927', '2024-03-01 10:00:02Z', '{}');
DELETE FROM "History";
