-- What a session came to, beside its state.
-- The subscription that it began.
ALTER TABLE checkout_sessions ADD COLUMN subscription TEXT;
-- When that was over before the tenant could work by it.
ALTER TABLE checkout_sessions ADD COLUMN ended_at INTEGER;
-- The tenant as it was when it was last found that the session may stay open; when it is next tried to close it.
ALTER TABLE checkout_sessions ADD COLUMN looked_at_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE checkout_sessions ADD COLUMN close_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE checkout_sessions ADD COLUMN close_attempts INTEGER NOT NULL DEFAULT 0;
CREATE INDEX checkout_sessions_open ON checkout_sessions (tenant_id, attempt) WHERE state = 'open';
