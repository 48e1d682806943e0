//! How long portals wait. A wait begins when the first of a portal's pipelines is due, by the server's clock, and ends when a worker begins
//! the turn that carries it out: a turn that breaks off ends no wait, so that takeovers are within. It is *undisturbed* where no turn broke
//! off in it.

use super::postgres::Server;

/// See above.
#[derive(Default)]
pub(crate) struct Waits {
    watched: bool,
}

impl Waits {
    /// Notes each turn from now on, if the tables are there.
    pub(crate) fn look(&mut self, server: &Server, database: &str) {
        if !self.watched && server.sql(database, "SELECT to_regclass('syncline.turns') IS NOT NULL") == "t" {
            server.sql(database, WATCH);
            self.watched = true;
        }
    }

    /// All waits of a kind: how many, their mean, the longest, and the longest mean of a portal. What was due before the first note is left out.
    pub(crate) fn of(&self, server: &Server, database: &str, undisturbed: bool) -> Figures {
        let which = if undisturbed { "broke IS NOT TRUE" } else { "true" };
        let figures = format!(
            "WITH turns AS (SELECT portal, due, extract(epoch FROM at - due)::float8 AS waited,
                 lag(at) OVER of_portal >= due AS broke, lead(due) OVER of_portal AS next, at
                 FROM watch.turns WINDOW of_portal AS (PARTITION BY portal ORDER BY epoch)),
             waits AS (SELECT * FROM turns WHERE (next IS NULL OR next > at) AND due > (SELECT min(at) FROM watch.turns) AND {which})
             SELECT count(*) || ' ' || coalesce(avg(waited), 0) || ' ' || coalesce(max(waited), 0) || ' ' || coalesce((
                 SELECT max(mean) FROM (SELECT avg(waited) AS mean FROM waits GROUP BY portal) m), 0) FROM waits"
        );
        let row = server.sql(database, &figures);
        let numbers: Vec<f64> = row.split(' ').map(|number| number.parse().unwrap()).collect();
        let [count, mean, longest, portal] = numbers[..] else { panic!("{row}") };
        Figures { count, mean, longest, portal }
    }

    /// How many takeovers there were, and the seconds from the end of a lease that was not renewed to the takeover: on average and at most.
    pub(crate) fn takeovers(server: &Server, database: &str) -> [f64; 3] {
        let late = "extract(epoch FROM at - until)::float8";
        let row = server.sql(
            database,
            &format!(
                "SELECT count(*) || ' ' || coalesce(avg({late}), 0) || ' ' || coalesce(max({late}), 0) FROM watch.takeovers"
            ),
        );
        let numbers: Vec<f64> = row.split(' ').map(|number| number.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    }

    /// How many turns began while another portal was due.
    pub(crate) fn contested(server: &Server, database: &str) -> u32 {
        let sql = "SELECT count(*) FROM watch.turns one
            WHERE EXISTS (SELECT 1 FROM watch.turns other WHERE other.due <= one.at AND other.at > one.at)";
        server.sql(database, sql).parse().unwrap()
    }

    /// How many turns, at most, began within a portal's wait that carried out what was due later than its own. What was due before the first
    /// note is left out.
    pub(crate) fn overtaken(server: &Server, database: &str) -> u32 {
        let sql = "SELECT coalesce(max(overtaken), 0) FROM (
            SELECT (SELECT count(*) FROM watch.turns later WHERE later.due > mine.due AND later.at < mine.at) AS overtaken
            FROM watch.turns mine WHERE mine.due > (SELECT min(at) FROM watch.turns)) waits";
        server.sql(database, sql).parse().unwrap()
    }
}

/// Notes when each turn begins, and since when it was waited for.
const WATCH: &str = "CREATE SCHEMA watch;
    CREATE TABLE watch.turns (portal text, epoch bigint, due timestamptz, at timestamptz);
    CREATE TABLE watch.takeovers (portal text, until timestamptz, at timestamptz);
    CREATE FUNCTION watch.note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO watch.turns SELECT NEW.key, NEW.epoch, min(due), clock_timestamp() FROM syncline.turns t
            WHERE t.portal = NEW.key AND t.state_id = NEW.state_id AND due <= clock_timestamp();
        IF TG_OP = 'UPDATE' AND OLD.ended IS NULL THEN
            INSERT INTO watch.takeovers VALUES (NEW.key, OLD.until, clock_timestamp());
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER taken AFTER INSERT ON syncline.portals FOR EACH ROW EXECUTE FUNCTION watch.note();
    CREATE TRIGGER taken_again AFTER UPDATE ON syncline.portals FOR EACH ROW WHEN (NEW.epoch <> OLD.epoch)
        EXECUTE FUNCTION watch.note()";

/// Of waits, in seconds.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) count: f64,
    pub(crate) mean: f64,
    pub(crate) longest: f64,
    /// The mean of the portal that waits longest on average.
    pub(crate) portal: f64,
}
