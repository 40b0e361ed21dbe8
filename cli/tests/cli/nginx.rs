//! A server of others: nginx on a free port, where one is installed. It serves the directory `site` of the sandbox, and
//! writes what it was asked for to `access.log`. It listens on the Unix socket `nginx.sock` as well. Where the site has
//! no `robots.txt`, it sends to `rules/robots.txt`.

use std::path::Path;
use std::process::Command;

use crate::support::{Sandbox, Started, closed_address, skip_without, wait_for};

/// Where distributions put it.
const PLACES: [&str; 3] = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"];

/// A single-process nginx that serves the site, stopped when dropped, and its address; `None`, with a message, if none
/// is installed.
pub fn nginx(sandbox: &Sandbox) -> Option<(Started, String)> {
    let directory = sandbox.path().display();
    let locations = format!(
        "location = /page {{ return 200 'hello'; }}\n\
         location = /status {{ stub_status; }}\n\
         root {directory}/site; types {{}} default_type text/html;\n\
         location = /robots.txt {{ try_files /robots.txt @rules; }}\n\
         location @rules {{ return 302 rules/robots.txt; }}\n\
         location / {{ }}"
    );
    nginx_serving(sandbox, &locations)
}

/// The same, serving these locations.
pub fn nginx_serving(sandbox: &Sandbox, locations: &str) -> Option<(Started, String)> {
    let found = PLACES.into_iter().find(|path| Path::new(path).exists());
    let Some(nginx) = found else {
        skip_without("nginx");
        return None;
    };
    let address = closed_address();
    let directory = sandbox.path().display();
    let configuration = format!(
        "daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/error.log;\n\
         events {{}}\n\
         http {{ log_format asked '$request_uri'; access_log {directory}/access.log asked; client_body_temp_path {directory}; proxy_temp_path {directory};\n\
         fastcgi_temp_path {directory}; uwsgi_temp_path {directory}; scgi_temp_path {directory};\n\
         server {{ listen {address}; listen unix:{directory}/nginx.sock;\n\
         {locations} }} }}\n"
    );
    let file = sandbox.write("nginx.conf", &configuration);
    let mut command = Command::new(nginx);
    command.arg("-c").arg(file).arg("-p").arg(sandbox.path());
    let started = Started::of(command);
    wait_for("nginx", || {
        std::net::TcpStream::connect(&address).ok().map(drop)
    });
    Some((started, address))
}
