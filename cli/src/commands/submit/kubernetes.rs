//! Kubernetes: an Indexed Job of as many pods as shards, and a second job that waits for their records and merges them.
//!
//! Pods are on nodes of their own, since two generators on one node measure each other. Requests equal limits in whole CPUs,
//! so that a node whose kubelet pins CPUs gives each pod CPUs of its own. There are no retries: a pod that starts again would
//! measure alone. Written as JSON where text is the user's, which is YAML as well.

use serde_json::json;

use super::{Access, Submission};

/// A directory of a pod, which goes with it.
const RUNS: &str = "/tmp/photofinish-runs";

/// The user and group of the pods, as in the container file.
const USER: u32 = 65_532;

/// A manifest of both jobs.
pub(super) fn manifest(submission: &Submission) -> String {
    let Submission {
        name, shards, cpus, ..
    } = submission;
    let text = |text: &str| json!(text).to_string();
    let (image, store) = (text(&submission.image), &submission.store);
    let Reach {
        credentials,
        mounts,
        volumes,
        merged,
    } = Reach::of(submission);
    let share = ["--shard", "auto", "--store", store, "--out", RUNS];
    let run = submission.run.iter().map(String::as_str).chain(share);
    let run: Vec<&str> = ["run"].into_iter().chain(run).collect();
    let run = json!(run);
    let merge = json!(["merge", "--wait", "1h", store, "--out", merged]);
    let program = json!([submission.program]);
    let pod = format!(
        "        securityContext: {{ allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: {USER} }}\n\
         {credentials}{mounts}{volumes}"
    );
    format!(
        "apiVersion: batch/v1
kind: Job
metadata: {{ name: {name} }}
spec:
  completionMode: Indexed
  completions: {shards}
  parallelism: {shards}
  backoffLimit: 0
  template:
    metadata:
      labels: {{ app: {name} }}
    spec:
      restartPolicy: Never
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - topologyKey: kubernetes.io/hostname
            labelSelector: {{ matchLabels: {{ app: {name} }} }}
      containers:
      - name: shard
        image: {image}
        command: {program}
        args: {run}
        env: [{{ name: PHOTOFINISH_SHARDS, value: \"{shards}\" }}]
        resources:
          requests: {{ cpu: \"{cpus}\", memory: 2Gi }}
          limits: {{ cpu: \"{cpus}\", memory: 2Gi }}
{pod}---
apiVersion: batch/v1
kind: Job
metadata: {{ name: {name}-merge }}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: merge
        image: {image}
        command: {program}
        args: {merge}
        resources:
          requests: {{ cpu: \"1\", memory: 1Gi }}
          limits: {{ cpu: \"1\", memory: 1Gi }}
{pod}"
    )
}

/// The lines that let a pod reach the store, and the directory of the merged run.
struct Reach {
    credentials: String,
    mounts: &'static str,
    volumes: String,
    merged: String,
}

impl Reach {
    fn of(submission: &Submission) -> Self {
        match &submission.access {
            Access::Claim(claim) => Self {
                credentials: String::new(),
                mounts: "        volumeMounts: [{ name: store, mountPath: /store }]\n",
                // The group of a volume that belongs to root, so that shards may write there.
                volumes: format!(
                    "      securityContext: {{ fsGroup: {USER} }}\n\
                     \u{20}     volumes: [{{ name: store, persistentVolumeClaim: {{ claimName: {} }} }}]\n",
                    json!(claim)
                ),
                merged: format!("{}/merged", submission.store),
            },
            Access::Secret(secret) => Self {
                credentials: format!(
                    "        envFrom: [{{ secretRef: {{ name: {} }} }}]\n",
                    json!(secret)
                ),
                mounts: "",
                volumes: String::new(),
                // The store keeps it as well.
                merged: RUNS.to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::submission;
    use super::*;

    #[test]
    fn arguments_are_a_list_and_pods_are_never_retried() {
        let manifest = manifest(&submission());
        let run = r#"        args: ["run","http-get","--target","http=http://10.0.0.5/?a=$b&c","--rate","20k","--shard","auto","--store","/shared/it's here","--out","/tmp/photofinish-runs"]"#;
        assert!(manifest.lines().any(|line| line == run), "{manifest}");
        assert_eq!(manifest.matches("backoffLimit: 0").count(), 2);
        assert_eq!(manifest.matches("restartPolicy: Never").count(), 2);
        assert!(manifest.contains("completions: 3\n  parallelism: 3\n"));
        let volumes = "      securityContext: { fsGroup: 65532 }\n      volumes: [";
        assert_eq!(manifest.matches(volumes).count(), 2, "{manifest}");
    }
}
