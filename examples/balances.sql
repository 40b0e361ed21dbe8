-- Every change of a balance is in the history.
DO $$ DECLARE total bigint := (SELECT coalesce(sum(delta), 0) FROM pgbench_history); BEGIN
    IF total <> (SELECT sum(abalance) FROM pgbench_accounts) OR total <> (SELECT sum(tbalance) FROM pgbench_tellers)
        OR total <> (SELECT sum(bbalance) FROM pgbench_branches) THEN
        RAISE EXCEPTION 'the balances differ';
    END IF;
END $$;
