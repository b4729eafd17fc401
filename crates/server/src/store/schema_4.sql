-- The owner's address and company in the form in which spellings of one are one; NULL where unknown or
-- anyone's. `twin_of` is the tenant that had one of them first, and stays when the address changes.
ALTER TABLE tenants ADD COLUMN mailbox TEXT;
ALTER TABLE tenants ADD COLUMN company TEXT;
ALTER TABLE tenants ADD COLUMN twin_of TEXT;
CREATE INDEX tenants_by_mailbox ON tenants (mailbox, created_at, id) WHERE mailbox IS NOT NULL;
CREATE INDEX tenants_by_company ON tenants (company, created_at, id) WHERE company IS NOT NULL;
