-- Accounts with the last day of their access, as JSON; nothing where it is not known yet.
ALTER TABLE experiment ADD COLUMN members TEXT;
