use std::{
    net::TcpStream,
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use super::*;

/// In this variable the test's own executable, started once more, finds that it is the one to be killed.
const VICTIM_VARIABLE: &str = "FILAMENT_TEST_POSTGRES_VICTIM";

#[tokio::test(flavor = "multi_thread")]
async fn each_test_gets_a_database_of_its_own() {
    let Some(first) = Postgres::database().await else {
        return;
    };
    let second = Postgres::database().await.expect("the first is there");
    let cluster = |database: &TestDatabase| {
        database
            .url
            .rsplit_once('/')
            .map(|(cluster, _)| cluster.to_owned())
    };
    assert_eq!(cluster(&first), cluster(&second));
    assert_ne!(first.url, second.url);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_stops_starts_again_and_leaves_nothing() {
    let Some(postgres) = Postgres::durable().await.map(Arc::new) else {
        return;
    };
    assert!(listens(postgres.port));
    assert!(crate::process::cpu_seconds_of_family(postgres.pid()) > 0.0);

    postgres.stop_immediately().await;
    assert!(!listens(postgres.port));
    postgres.start().await;
    assert!(listens(postgres.port));
    postgres.create_database().await;

    let (port, pid, dir) = (postgres.port, postgres.pid(), postgres.dir().to_owned());
    drop(postgres);
    assert!(!listens(port) && !is_alive(pid) && !dir.exists());
}

#[test]
fn a_cluster_dies_with_the_process_that_started_it() {
    if !Postgres::is_installed() {
        return;
    }
    let mut victim = Command::new(env::current_exe().expect("this program knows its path"))
        .args(["--exact", "postgres::tests::be_the_victim", "--nocapture"])
        .env(VICTIM_VARIABLE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts once more");
    let output = BufReader::new(victim.stdout.take().expect("stdout is piped"));
    let (pid, dir) = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| {
            let (pid, dir) = line.split_once("cluster ")?.1.split_once(' ')?;
            Some((pid.parse::<u32>().ok()?, PathBuf::from(dir)))
        })
        .expect("the victim names its cluster");
    assert!(is_alive(pid) && dir.exists());

    victim.kill().expect("the victim can be killed");
    assert_eq!(victim.wait().expect("the victim ends").signal(), Some(9));
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_alive(pid) || dir.exists() {
        assert!(
            Instant::now() < deadline,
            "cluster {pid} in {} is still there",
            dir.display()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Does nothing, but in the process that the test above kills.
#[tokio::test(flavor = "multi_thread")]
async fn be_the_victim() {
    if env::var_os(VICTIM_VARIABLE).is_none() {
        return;
    }
    let postgres = Postgres::fast().await.expect("PostgreSQL is installed");
    println!("cluster {} {}", postgres.pid(), postgres.dir().display());
    std::future::pending::<()>().await;
}

#[test]
fn accounts_are_found_by_name_and_root_is_none() {
    let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533::/:/bin/false\n";
    let nobody = Account::find(passwd, "nobody").expect("it is there");
    assert_eq!((nobody.uid, nobody.gid), (65534, 65533));
    assert!(Account::find(passwd, "root").is_none());
    assert!(Account::find(passwd, "postgres").is_none());
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A process that has ended and that nobody has waited for counts as dead.
fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| !rest.starts_with(" Z"))
    })
}
