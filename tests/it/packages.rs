//! Packages: each is made by packaging/ of the program under test, put into a fresh place, and runs the demo there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use syncline::model::program;
use tempfile::TempDir;

use crate::support::{Bench, Ran, ended};

/// Longest time in which a program must have ended, in seconds.
const END_SECONDS_MAX: u64 = 20;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program under test without what only a debugger needs: a package of it would be several times as large.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let place = root().join("target/packages");
    fs::create_dir_all(&place).unwrap();
    // Several test processes may be here at once: each moves a whole file into place.
    let mine = place.join(format!("syncline-{}", std::process::id()));
    let stripped = Command::new("strip").arg("-o").arg(&mine).arg(env!("CARGO_BIN_EXE_syncline")).status().unwrap();
    assert!(stripped.success());
    let program = place.join("syncline");
    fs::rename(&mine, &program).unwrap();
    program
});

/// A command with the tools for packages on its PATH.
fn tool(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    let tools = root().join("target/clients/python/bin");
    #[expect(clippy::disallowed_methods, reason = "cargo and the system's programs are where the test found them")]
    let path = std::env::var("PATH").unwrap();
    command
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("SOURCE_DATE_EPOCH", "1790000000")
        .env("SYNCLINE_PACKAGING", "quick")
        .stdin(Stdio::null());
    command
}

/// Runs a script of packaging/, which must go well.
#[track_caller]
fn pack(script: &str, arguments: &[&Path]) -> Ran {
    let ran = ended(tool(root().join("packaging").join(script)).args(arguments).output().unwrap());
    assert_eq!(
        ran.code,
        Some(0),
        "{script}: {ran:?}\nhint: `./test --setup-only` installs what packages are made with"
    );
    ran
}

/// The one file of a folder with this ending.
#[track_caller]
fn file(folder: &Path, ending: &str) -> PathBuf {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<PathBuf> = names.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    assert_eq!(found.len(), 1, "{ending}: {found:?}");
    found[0].clone()
}

/// The demo of an installed program, on a computer that has nothing else.
#[track_caller]
fn demo(program: &Path, path: &str) {
    let home = TempDir::new().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", path).env("HOME", home.path()).current_dir(home.path());
        ended(command.output().unwrap())
    };
    let version = run(&["-V"]);
    assert_eq!(version.stdout, format!("syncline {}\n", program::VERSION), "{version:?}");
    let ran = run(&["demo"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("Next: `syncline init` makes a project of your own"), "{}", ran.stdout);
}

/// From nothing to a sync with its page, with the installed program alone: what docs/start says, in short.
#[track_caller]
fn walk(path: &str) {
    let bench = Bench::new(20);
    fs::rename(bench.path("syncline.yaml"), bench.path("sandbox.yaml")).unwrap();
    let script = "set -euo pipefail\n\
        syncline init crm && cd crm && cp ../sandbox.yaml syncline.yaml\n\
        syncline doctor\n\
        syncline new subscriptions --source Subscription__c --target subscriptions\n\
        syncline catalog pull && syncline validate\n\
        syncline import subscriptions --limit 10 --yes\n\
        syncline import subscriptions --yes || test $? -eq 3\n\
        syncline sync --listen 127.0.0.1:0 > log 2>&1 &\n\
        trap 'kill %1' EXIT\n\
        for try in $(seq 100); do address=$(grep -o 'http://[0-9.:]*' log || true); test -z \"$address\" || break; sleep 0.2; done\n\
        curl --fail --silent --show-error --noproxy '*' \"$address/\"\n";
    let mut command = Command::new("bash");
    command.args(["-c", script]).env_clear().env("PATH", format!("{path}:/usr/bin:/bin")).env("HOME", bench.path(""));
    let ran = ended(command.current_dir(bench.path("")).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in ["everything works", "import subscriptions: succeeded", "import subscriptions: partial", "<title>"] {
        assert!(ran.stdout.contains(part), "`{part}` is not in {ran:?}");
    }
}

fn text(command: &mut Command) -> String {
    let ran = ended(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{command:?}: {ran:?}");
    ran.stdout
}

/// What cargo knows of the package.
fn manifest() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root());
    let metadata: Value = serde_json::from_str(&text(&mut cargo)).unwrap();
    metadata["packages"][0].clone()
}

#[test]
fn a_wheel_is_installed_and_runs() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    pack("wheel", &[&PROGRAM, &out]);
    let wheel = file(&out, ".whl");
    let venv = folder.path().join("venv");
    text(tool("python3").args(["-m", "venv", "--without-pip"]).arg(&venv));
    // The pip of the tools: making one for each environment takes longer than all else here.
    let pip = |arguments: &[&str]| text(tool("pip").arg("--python").arg(venv.join("bin/python")).args(arguments));
    pip(&["install", "--quiet", "--no-index", "--no-cache-dir", &wheel.to_string_lossy()]);
    demo(&venv.join("bin/syncline"), &venv.join("bin").to_string_lossy());
    walk(&venv.join("bin").to_string_lossy());
    // Without installing anything, as people try it.
    let cache = folder.path().join("cache");
    let mut uvx = tool("uvx");
    uvx.arg("--from").arg(&wheel).args(["syncline", "demo"]).current_dir(folder.path()).env("UV_OFFLINE", "1");
    uvx.env("UV_CACHE_DIR", &cache).env("UV_PYTHON_DOWNLOADS", "never").env("UV_NO_CONFIG", "1");
    let shown = text(&mut uvx);
    assert!(shown.contains("Next: `syncline init` makes a project of your own"), "{shown}");
    let shown = pip(&["show", "--verbose", "syncline"]);
    for line in ["Version: 0.1.0", "Keeps HubSpot custom objects in step", program::REPOSITORY] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let notes = text(Command::new("find").arg(&venv).args(["-path", "*syncline-*", "-name", "LICENSE-*"]));
    assert_eq!(notes.lines().count(), 2, "the licences are in it: {notes}");
    // The list of what is in the program comes with it.
    pack("sbom", &[&wheel, &out]);
    let listed: Value = serde_json::from_str(&fs::read_to_string(file(&out, ".cyclonedx.json")).unwrap()).unwrap();
    let names: BTreeSet<&str> =
        listed["components"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(names.contains("rusqlite") && names.contains("libsqlite3-sys") && !names.contains("snapbox"), "{names:?}");
    assert_eq!(listed["metadata"]["component"]["purl"], "pkg:cargo/syncline@0.1.0");
    assert!(!listed.to_string().contains(&*root().to_string_lossy()), "it names the computer that made it");
    // The specification's own check takes seconds for each dozen of components: of those, which are alike, every twentieth.
    let check = "import json, sys\n\
                 from cyclonedx.schema import SchemaVersion\n\
                 from cyclonedx.validation.json import JsonStrictValidator\n\
                 listed = json.load(sys.stdin)\n\
                 listed['components'] = listed['components'][::20]\n\
                 found = JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(listed))\n\
                 sys.exit(found and str(found))";
    let list = fs::File::open(file(&out, ".cyclonedx.json")).unwrap();
    let ran = ended(tool("python3").args(["-c", check]).stdin(list).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn npm_packages_are_installed_and_run() {
    let folder = TempDir::new().unwrap();
    let system = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
    let processor = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x64" };
    let platform = format!("{system}-{processor}");
    let out = folder.path().join("out");
    pack("npm/pack", &[&PROGRAM, Path::new(&platform), &out]);
    let (main, one) = (out.join("syncline-0.1.0.tgz"), out.join(format!("syncline-{platform}-0.1.0.tgz")));
    let place = folder.path().join("project");
    fs::create_dir(&place).unwrap();
    let mut npm = tool("npm");
    npm.args(["install", "--offline", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
        .arg(&place)
        .args([&main, &one]);
    text(npm.env("npm_config_cache", folder.path().join("cache")).current_dir(&place));
    let command = place.join("node_modules/.bin/syncline");
    let node = text(tool("node").args(["-p", "process.execPath"]));
    let path = Path::new(node.trim()).parent().unwrap().to_string_lossy().into_owned() + ":/usr/bin:/bin";
    demo(&command, &path);
    // Exit codes and signals are the program's own.
    let wrong = ended(Command::new(&command).arg("nonsense").env("PATH", &path).output().unwrap());
    assert_eq!(wrong.code, Some(64), "{wrong:?}");
    let mut sandbox = Command::new(&command);
    sandbox.arg("sandbox").env("PATH", &path).stdout(Stdio::piped()).current_dir(&place);
    let mut sandbox = sandbox.spawn().unwrap();
    // It has said where it listens, so the program is there.
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(sandbox.stdout.as_mut().unwrap()), &mut first).unwrap();
    assert!(!first.is_empty());
    text(Command::new("kill").args(["-TERM", &sandbox.id().to_string()]));
    let begin = Instant::now();
    while sandbox.try_wait().unwrap().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(END_SECONDS_MAX), "a signal does not reach the program");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Without the package of its platform, it says what to do.
    fs::remove_dir_all(place.join("node_modules/@syncline")).unwrap();
    let ran = ended(Command::new(&command).arg("-V").env("PATH", &path).output().unwrap());
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("--omit=optional"), "{ran:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_debian_package_is_installed_and_removed() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    pack("deb", &[&PROGRAM, &out]);
    let package = file(&out, ".deb");
    let about = text(tool("dpkg-deb").arg("--info").arg(&package));
    for line in ["Package: syncline", "Depends: ", "libc6", "ca-certificates", "Recommends: git"] {
        assert!(about.contains(line), "{line}: {about}");
    }
    // Into a root of its own; the scripts of the package run here and are told of it.
    let place = folder.path().join("root");
    for name in ["var/lib/dpkg/updates", "var/lib/dpkg/info", "etc"] {
        fs::create_dir_all(place.join(name)).unwrap();
    }
    fs::write(place.join("var/lib/dpkg/status"), "").unwrap();
    fs::write(place.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    fs::write(place.join("etc/group"), "root:x:0:\n").unwrap();
    let dpkg = |action: &str, what: &Path| {
        let mut command = tool("dpkg");
        command.arg(format!("--root={}", place.display()));
        command.args(["--force-not-root", "--force-depends", "--force-script-chrootless", "--force-bad-path"]);
        text(command.args(["--log=/dev/null", action]).arg(what))
    };
    dpkg("--install", &package);
    demo(&place.join("usr/bin/syncline"), "/usr/bin:/bin");
    let unit = fs::read_to_string(place.join("lib/systemd/system/syncline.service")).unwrap();
    assert_eq!(unit, fs::read_to_string(root().join("docs/deploy/syncline.service")).unwrap());
    // The service's user is made where systemd can do it.
    if Command::new("systemd-sysusers").arg("--version").output().is_ok() {
        let users = fs::read_to_string(place.join("etc/passwd")).unwrap();
        assert!(users.contains("\nsyncline:") && users.contains(":/srv/syncline:"), "{users}");
    }
    // A page of the manual for each command, as the program writes them.
    let pages = folder.path().join("man");
    text(Command::new(&*PROGRAM).args(["man", "--out"]).arg(&pages));
    let names = |folder: &Path| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        entries.map(|name| name.trim_end_matches(".gz").to_owned()).collect()
    };
    let installed = place.join("usr/share/man/man1");
    assert_eq!(names(&installed), names(&pages));
    assert!(names(&pages).contains("syncline-state.1"));
    let page = text(Command::new("gzip").arg("-dc").arg(installed.join("syncline-plan.1.gz")));
    assert_eq!(page, fs::read_to_string(pages.join("syncline-plan.1")).unwrap());
    for name in [
        "usr/share/bash-completion/completions/syncline",
        "usr/share/zsh/vendor-completions/_syncline",
        "usr/share/fish/vendor_completions.d/syncline.fish",
        "usr/share/doc/syncline/copyright",
    ] {
        assert!(place.join(name).is_file(), "{name}");
    }
    dpkg("--purge", Path::new("syncline"));
    assert!(!place.join("usr").exists() && !place.join("lib").exists(), "something stayed");
}

/// A root file system with what the program is linked to, in the place of the image that it is built on.
#[cfg(target_os = "linux")]
fn base(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let listed = text(Command::new("ldd").arg(&*PROGRAM));
    for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
        let place = folder.join(library.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(library, place).unwrap();
    }
    for name in ["tmp", "project/.syncline"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    fs::set_permissions(folder.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn an_image_runs_the_program_as_a_user_without_rights() {
    let folder = TempDir::new().unwrap();
    base(&folder.path().join("base"));
    let layout = folder.path().join("image");
    let superuser = text(Command::new("id").arg("-u")).trim() == "0";
    if superuser {
        let state = folder.path().join("base/project/.syncline");
        std::os::unix::fs::chown(state, Some(65532), Some(65532)).unwrap();
    }
    pack("image", &[&PROGRAM, &folder.path().join("base"), &layout]);
    let name = format!("oci:{}:syncline", layout.display());
    let config: Value =
        serde_json::from_str(&text(tool("skopeo").args(["inspect", "--config", "--raw", &name]))).unwrap();
    let config = &config["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], json!(["/usr/bin/syncline"]));
    assert_eq!(config["Cmd"], json!(["sync", "--log-format", "json"]));
    assert_eq!((&config["WorkingDir"], &config["Volumes"]), (&json!("/project"), &json!({"/project/.syncline": {}})));
    assert_eq!(config["Labels"]["org.opencontainers.image.source"], program::REPOSITORY);
    let file = fs::read_to_string(root().join("packaging/Dockerfile")).unwrap();
    let first = file.lines().find(|line| !line.starts_with('#')).unwrap();
    assert!(first.starts_with("FROM docker.io/library/debian:") && first.ends_with("-slim"), "{first}");
    let check = config["Healthcheck"]["Test"].as_array().unwrap();
    assert_eq!(check[0], "CMD");
    // A copy of it is whole.
    text(
        tool("skopeo")
            .args(["copy", "--quiet", &name])
            .arg(format!("oci-archive:{}", folder.path().join("copy.tar").display())),
    );
    if !superuser {
        // Nobody else may enter a root file system of their own; that the image is well formed has been seen.
        return;
    }
    let bundle = folder.path().join("bundle");
    text(tool("umoci").args(["unpack", "--image", &format!("{}:syncline", layout.display())]).arg(&bundle));
    let tree = bundle.join("rootfs");
    let inside = |words: &[&str]| {
        let mut command = Command::new("chroot");
        command.args(["--userspec=65532:65532"]).arg(&tree).args(["/usr/bin/syncline", "--project", "/project"]);
        command.args(words).env_clear().envs([
            ("HOME", "/tmp"),
            ("NO_COLOR", "1"),
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        ]);
        ended(command.output().unwrap())
    };
    let ran = inside(&["demo"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // The health check, on a project that is well and on one whose sync has never run.
    assert_eq!(check[1..], [json!("/usr/bin/syncline"), json!("status"), json!("--check")]);
    let bench = Bench::new(5);
    for name in ["syncline.yaml", "pipelines/subscriptions.yaml", "pipelines/work_orders.yaml"] {
        let place = tree.join("project").join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(bench.path(name), place).unwrap();
    }
    let ill = inside(&["status", "--check"]);
    assert_eq!(ill.code, Some(1), "{ill:?}");
    let done = inside(&["import", "--yes"]);
    assert!(matches!(done.code, Some(0 | 3)), "{done:?}");
    assert!(tree.join("project/.syncline/state.db").exists(), "the state is in its volume");
    let dismissed = inside(&["failures", "dismiss"]);
    let well = inside(&["status", "--check"]);
    assert_eq!(well.code, Some(0), "{well:?} after {dismissed:?}");
}

#[test]
fn the_archive_of_a_release_is_what_binstall_and_the_action_look_for() {
    let folder = TempDir::new().unwrap();
    let target = "x86_64-unknown-linux-gnu";
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    for out in [&first, &second] {
        pack("archive", &[&PROGRAM, Path::new(target), out]);
    }
    let archive = file(&first, ".tar.gz");
    assert_eq!(
        fs::read(&archive).unwrap(),
        fs::read(file(&second, ".tar.gz")).unwrap(),
        "the same program, the same archive"
    );
    let binstall = &manifest()["metadata"]["binstall"];
    let filled = |template: &Value| {
        let filled = template.as_str().unwrap().replace("{ repo }", program::REPOSITORY);
        filled.replace("{ version }", program::VERSION).replace("{ target }", target)
    };
    let address = filled(&binstall["pkg-url"]);
    assert_eq!(address.rsplit('/').next(), archive.file_name().unwrap().to_str());
    assert_eq!(
        address,
        format!("{}/releases/download/v0.1.0/{}", program::REPOSITORY, archive.file_name().unwrap().display())
    );
    text(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder.path()));
    let program = folder.path().join(filled(&binstall["bin-dir"]));
    demo(&program, "/usr/bin:/bin");
    for name in ["man/syncline.1", "completions/syncline.bash", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(program.parent().unwrap().join(name).is_file(), "{name}");
    }
}

#[test]
fn the_package_of_the_sources_holds_what_is_built_and_nothing_else() {
    let mut cargo = Command::new(env!("CARGO"));
    let listed = text(cargo.args(["package", "--list", "--offline", "--allow-dirty"]).current_dir(root()));
    let listed: BTreeSet<&str> = listed.lines().collect();
    for name in
        ["Cargo.lock", "LICENSE-MIT", "LICENSE-APACHE", "README.md", "build.rs", "src/main.rs", "docs/errors/SL1001.md"]
    {
        assert!(listed.contains(name), "{name}: {listed:?}");
    }
    let strange: Vec<&&str> = listed
        .iter()
        .filter(|name| {
            ["tests/", "benches/", "docs/guide/", ".ci/", "packaging/"].iter().any(|it| name.starts_with(it))
        })
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
    // Whatever the sources include from elsewhere is there.
    for (name, text) in
        listed.iter().filter(|name| name.ends_with(".rs")).map(|name| (name, fs::read_to_string(root().join(name))))
    {
        let Ok(text) = text else { continue };
        for included in text.split("include_str!(\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let path = root().join(name).parent().unwrap().join(included);
            let path = fs::canonicalize(&path).unwrap_or_else(|error| panic!("{name}: {}: {error}", path.display()));
            let path = path.strip_prefix(fs::canonicalize(root()).unwrap()).unwrap().to_str().unwrap().to_owned();
            assert!(listed.contains(path.as_str()), "{name} includes {path}");
        }
    }
    let folder = TempDir::new().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["package", "--quiet", "--no-verify", "--offline", "--allow-dirty", "--target-dir"]).arg(folder.path());
    text(cargo.current_dir(root()));
    let size = fs::metadata(folder.path().join("package/syncline-0.1.0.crate")).unwrap().len();
    assert!(size < 2_000_000, "{size} bytes");
}

/// What the build script answers in a folder: the commit that it names, and what it looks at again.
fn built_from(script: &Path, folder: &Path, variables: &[(&str, &str)]) -> (Option<String>, String) {
    let mut command = Command::new(script);
    command.current_dir(folder).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").envs(variables.iter().copied());
    let said = text(&mut command);
    let commit = said.lines().find_map(|line| line.strip_prefix("cargo::rustc-env=SYNCLINE_BUILT_FROM="));
    (commit.map(str::to_owned), said)
}

#[test]
fn the_version_names_the_commit_of_a_release_wherever_it_is_built() {
    let folder = TempDir::new().unwrap();
    let script = folder.path().join("script");
    let mut compiler = Command::new("rustc");
    text(compiler.args(["--edition", "2024", "-o"]).arg(&script).arg(root().join("build.rs")));
    let git = |place: &Path, arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=test", "-c", "user.email=test@example.com"]).args(arguments).current_dir(place);
        text(&mut git).trim().to_owned()
    };
    let checkout = folder.path().join("checkout");
    fs::create_dir_all(checkout.join("src")).unwrap();
    fs::write(checkout.join("src/main.rs"), "fn main() {}\n").unwrap();
    git(&checkout, &["init", "--quiet"]);
    git(&checkout, &["add", "."]);
    git(&checkout, &["commit", "--quiet", "-m", "Start"]);
    let commit = git(&checkout, &["rev-parse", "HEAD"]);
    let (release, debug) = ([("PROFILE", "release")], [("PROFILE", "debug")]);
    let (named, said) = built_from(&script, &checkout, &release);
    assert_eq!(named.as_ref(), Some(&commit));
    assert!(said.contains("cargo::rerun-if-changed=.git/logs/HEAD"), "{said}");
    // A build for development neither asks nor is built anew by a commit.
    let (named, said) = built_from(&script, &checkout, &debug);
    assert!(named.is_none() && !said.contains(".git"), "{said}");
    // What differs from the commit is said.
    fs::write(checkout.join("src/main.rs"), "fn main() { }\n").unwrap();
    assert_eq!(built_from(&script, &checkout, &release).0, Some(format!("{commit}+changes")));
    // Who builds may say it; nonsense fails the build.
    let other = "a".repeat(40);
    assert_eq!(built_from(&script, &checkout, &[("PROFILE", "debug"), ("SYNCLINE_COMMIT", &other)]).0, Some(other));
    let (named, said) = built_from(&script, &checkout, &[("PROFILE", "release"), ("SYNCLINE_COMMIT", "main")]);
    assert!(named.is_none() && said.contains("cargo::error="), "{said}");
    // A copy within another repository is not that repository's commit.
    let copy = checkout.join("vendor/syncline");
    fs::create_dir_all(&copy).unwrap();
    assert_eq!(built_from(&script, &copy, &release).0, None);
    // Outside of git, a package has it in a file of its own.
    let package = folder.path().join("package");
    fs::create_dir(&package).unwrap();
    assert_eq!(built_from(&script, &package, &release).0, None);
    for (text, expected) in [
        (format!(r#"{{"git": {{"sha1": "{commit}"}}, "path_in_vcs": ""}}"#), Some(commit.clone())),
        (
            format!("{{\n  \"git\": {{\n    \"sha1\": \"{commit}\",\n    \"dirty\": true\n  }}\n}}"),
            Some(format!("{commit}+changes")),
        ),
        ("{}".to_owned(), None),
        (r#"{"git": {"sha1": "x"}}"#.to_owned(), None),
    ] {
        fs::write(package.join(".cargo_vcs_info.json"), &text).unwrap();
        assert_eq!(built_from(&script, &package, &debug).0, expected, "{text}");
    }
}

#[test]
fn the_compiler_that_is_asked_for_is_the_one_that_is_said() {
    let version = manifest()["rust_version"].as_str().unwrap().trim_end_matches(".0").to_owned();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains(&format!("needs Rust {version} or newer")), "README.md does not say {version}");
    for name in ["rust-toolchain", "rust-toolchain.toml"] {
        assert!(!root().join(name).exists(), "{name} would choose a compiler for others");
    }
}

#[test]
fn names_under_which_it_is_given_out_stand_in_one_place() {
    let (_, name) = program::REPOSITORY.split_once("https://github.com/").unwrap();
    let owner = name.split('/').next().unwrap();
    let mut files =
        vec!["pyproject.toml", "packaging/Dockerfile", "action.yml", "docs/examples/gitlab-ci.yml", "docs/install.md"];
    files.push(".github/workflows/release.yml");
    for file in files {
        let Ok(text) = fs::read_to_string(root().join(file)) else { panic!("{file} is missing") };
        let mut named = 0;
        for part in text
            .split("github.com/")
            .skip(1)
            .filter(|part| part.split(['"', ' ', '\n']).next().unwrap().contains("syncline"))
        {
            assert!(part.starts_with(name), "{file}: github.com/{}", part.lines().next().unwrap());
            named += 1;
        }
        for part in text.split("ghcr.io/").skip(1) {
            assert!(
                part.starts_with(owner) || part.starts_with("${"),
                "{file}: ghcr.io/{}",
                part.lines().next().unwrap()
            );
            named += 1;
        }
        assert!(named > 0 || file.starts_with(".github"), "{file} does not name the repository");
    }
    for file in ["docs/guide/review.md", "docs/deploy/github-actions.md"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let uses: Vec<&str> =
            text.split("uses: ").skip(1).filter(|rest| rest.lines().next().unwrap().contains("syncline@")).collect();
        assert!(!uses.is_empty() && uses.iter().all(|rest| rest.starts_with(&format!("{name}@"))), "{file}: {uses:?}");
    }
}
