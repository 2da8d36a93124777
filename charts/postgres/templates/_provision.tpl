{{/*
A Job that makes roles, databases, schemas and publications at every install and upgrade. Its SQL can run any number of
times and only adds. It reads passwords from mounted Secrets; no other manifest holds them.

A Job cannot be changed, so its name has the revision and a digest of its content. An upgrade runs it again. With
`helm template`, the revision is always 1, and the digest gives a changed Job a new name. Argo CD runs it at each sync and deletes
the one before.
*/}}
{{- define "postgres.provision" -}}
{{- $spec := include "postgres.provisionSpec" . -}}
{{- $content := printf "%s%s" $spec (include "postgres.provisionSql" .) | sha256sum | trunc 6 -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "service.metadata" (dict
    "root" .root
    "name" .name
    "fullname" (printf "%s-provision-%d-%s" .name (int .root.Release.Revision) $content)
    "component" "postgres-provision"
    "annotations" (dict
      "argocd.argoproj.io/hook" "Sync"
      "argocd.argoproj.io/hook-delete-policy" "BeforeHookCreation"
      "helm.toolkit.fluxcd.io/driftDetection" "disabled"
    )
  ) | nindent 2 }}
spec:
  {{- $spec | nindent 2 }}
{{- end -}}

{{- define "postgres.provisionSpec" -}}
backoffLimit: 6
activeDeadlineSeconds: 600
ttlSecondsAfterFinished: 600
template:
  metadata:
    {{- include "postgres.jobMetadata" (merge (dict "component" "postgres-provision") .) | nindent 4 }}
  spec:
    {{- include "postgres.jobPod" . | nindent 4 }}
    containers:
    - name: provision
      {{- include "postgres.psql" . | nindent 6 }}
      args:
      - |
        export PGPASSWORD="$(cat /etc/superuser/password)"
        for attempt in $(seq 150); do
          pg_isready --quiet && exec psql --no-psqlrc --quiet --file=/etc/postgresql/provision.sql
          sleep 2
        done
        echo "PostgreSQL at $PGHOST does not answer: see the log of pod {{ .name }}-0" >&2
        exit 1
      volumeMounts:
      - {name: config, mountPath: /etc/postgresql, readOnly: true}
      - {name: superuser, mountPath: /etc/superuser, readOnly: true}
      {{- include "postgres.loginMounts" . | nindent 6 }}
    volumes:
    - name: config
      configMap: {name: {{ .name }}}
    - {{- include "postgres.superuserVolume" . | nindent 6 }}
    {{- include "postgres.loginVolumes" . | nindent 4 }}
{{- end -}}

{{/* The metadata of a Job's pod; an instance's dict with component. */}}
{{- define "postgres.jobMetadata" -}}
{{- $pod := dict "podLabels" .values.podLabels -}}
{{- include "service.podMetadata" (dict "root" .root "name" .name "component" .component "pod" $pod) }}
{{- end -}}

{{/* The fields that the pods of our Jobs share. */}}
{{- define "postgres.jobPod" -}}
restartPolicy: {{ .restartPolicy | default "OnFailure" }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "service.podSecurity" (dict "user" .root.Values.runAsUser) | nindent 2 }}
{{- include "service.scheduling" (dict "pod" .values "root" .root) }}
{{- end -}}

{{/*
The logins' passwords as files, /etc/logins/<secret>/password, and a writable /tmp. As files, because the shell and psql
then drop a line end at the end of a password.
*/}}
{{- define "postgres.loginMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- range $index, $login := include "postgres.logins" . | fromYamlArray }}
- {name: login-{{ $index }}, mountPath: {{ printf "/etc/logins/%s" $login.secret | quote }}, readOnly: true}
{{- end }}
{{- end -}}

{{- define "postgres.loginVolumes" -}}
- {{- include "service.tmpVolume" (dict) | nindent 2 }}
{{- /* Numbered, because a Secret's name may be longer than a volume's, and may have dots. */}}
{{- range $index, $login := include "postgres.logins" . | fromYamlArray }}
- name: login-{{ $index }}
  secret:
    secretName: {{ $login.secret | quote }}
    defaultMode: 0440
    items: [{key: {{ $login.passwordKey | quote }}, path: password}]
{{- end }}
{{- end -}}

{{- define "postgres.superuserVolume" -}}
{{- $superuser := include "postgres.superuser" . | fromYaml -}}
name: superuser
secret:
  secretName: {{ $superuser.secret | quote }}
  defaultMode: 0440
  items: [{key: {{ $superuser.key | quote }}, path: password}]
{{- end -}}

{{/* The fields of a container that runs psql over the network. */}}
{{- define "postgres.psql" -}}
image: {{ include "service.image" (dict "root" .root "image" .values.image) | quote }}
imagePullPolicy: {{ .values.image.pullPolicy }}
securityContext:
  {{- include "service.containerSecurity" . | nindent 2 }}
resources:
  requests: {cpu: 10m, memory: 16Mi}
  limits: {memory: 64Mi}
env:
- {name: PGHOST, value: {{ .name }}}
- {name: PGUSER, value: postgres}
- {name: PGDATABASE, value: postgres}
- {name: PGCONNECT_TIMEOUT, value: "10"}
- {name: PGOPTIONS, value: -c lock_timeout=60s}
command: [/bin/sh, -euc]
{{- end -}}
