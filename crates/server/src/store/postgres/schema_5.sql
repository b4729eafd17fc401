-- The processes that serve from this database, by their own word of every few seconds.
CREATE TABLE replicas (
    id TEXT COLLATE "C" PRIMARY KEY,
    version TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
