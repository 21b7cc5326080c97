//! Another configuration while requests are under way.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::fixture::{ROUTES, config, head, start, token, usual};
use crate::upstream::Upstream;

#[test]
fn reloads_drop_no_request_and_answer_none_wrongly() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    // The open door closes and opens again; the stock is there all the time.
    let open = head(&upstream.url(), "") + ROUTES;
    let closed = open.replace("public = true", "scopes = [\"nobody:has\"]");
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let token = token();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let bearer = format!("Authorization: Bearer {token}");
                while !done.load(Ordering::Relaxed) {
                    let stock = running.get("/stock/7", &[&bearer]);
                    assert_eq!(stock.status, 200, "{stock:?}");
                    let open = running.get("/open/7", &[]);
                    assert!([200, 401].contains(&open.status), "{open:?}");
                    answered.fetch_add(2, Ordering::Relaxed);
                }
            });
        }
        for round in 0..40 {
            let text = if round % 2 == 0 { &closed } else { &open };
            running
                .gateway
                .reload(config(text, running.directory.path()).unwrap())
                .unwrap();
            // What was answered after the reload was answered by it.
            let status = running.get("/open/7", &[]).status;
            assert_eq!(status, if round % 2 == 0 { 401 } else { 200 });
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(answered.load(Ordering::Relaxed) > 0);
    assert!(running.admin("/metrics").body.contains("reloads_total 40"));
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    let upstream = Upstream::start();
    let running = usual(&upstream);
    let text = head(&upstream.url(), "") + ROUTES;
    for unusable in [
        text.replace("workers = 2", "workers = 3"),
        text.clone() + "\n[identity]\nkey_file = \"missing.pem\"\n",
        text.replace("http://127", "https://127") + "ca_file = \"missing.pem\"\n",
    ] {
        let outcome = config(&unusable, running.directory.path())
            .and_then(|config| running.gateway.reload(config));
        assert!(outcome.is_err());
    }
    assert_eq!(running.get_as_ada("/stock/7").status, 200);
    assert!(running.admin("/readyz").body.contains("ready"));
}

#[test]
fn connections_to_upstreams_outlive_a_reload() {
    let upstream = Upstream::start();
    let running = start(&(head(&upstream.url(), "") + ROUTES));
    assert_eq!(running.get_as_ada("/stock/7").status, 200);
    let text = head(&upstream.url(), "") + ROUTES + "websocket = true\n";
    running
        .gateway
        .reload(config(&text, running.directory.path()).unwrap())
        .unwrap();
    assert_eq!(running.get_as_ada("/stock/7").status, 200);
    let connections = upstream.connections();
    assert!(connections <= 3, "connections are kept: {connections}");
}
