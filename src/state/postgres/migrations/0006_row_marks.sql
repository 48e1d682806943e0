-- What stands there is recognised, but a program of before would take each record for changed: so it is refused (docs/decisions/0084).
COMMENT ON COLUMN syncline.identities.hash IS 'XXH3 of what was written, and the mark of the row that it came from';
