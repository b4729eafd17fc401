-- What tenants used by day, as the server counted it. Days are the server's, in milliseconds at their beginning; a day
-- on which nothing was counted is absent.

CREATE TABLE usage_days (
    day          INTEGER NOT NULL,
    tenant_id    TEXT NOT NULL,
    messages     INTEGER NOT NULL,
    tokens       INTEGER NOT NULL,
    api_requests INTEGER NOT NULL,
    PRIMARY KEY (day, tenant_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_days_by_tenant ON usage_days (tenant_id, day);

PRAGMA user_version = 7;
