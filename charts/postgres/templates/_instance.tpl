{{/*
One PostgreSQL instance. Another chart can include these templates too, once for each of its instances (see
charts/shop/templates/databases.yaml). Every template takes a dict:
- root: the context of the chart that includes it
- name: the name of the instance and the prefix of its objects
- values: the values of the instance, as in this chart's values.yaml
*/}}

{{- define "postgres.objects" -}}
{{- include "postgres.checkOwners" . -}}
{{ include "postgres.secrets" . }}
---
{{ include "postgres.config" . }}
---
{{ include "postgres.claim" . }}
---
{{ include "postgres.statefulset" . }}
---
{{ include "postgres.service" . }}
---
{{ include "postgres.provision" . }}
---
{{ include "service.disruptionBudget" (dict "root" .root "fullname" .name "name" .name "component" "postgres") }}
{{- if .values.networkPolicy.enabled }}
---
{{ include "postgres.networkPolicy" . }}
{{- end }}
{{- end -}}

{{/* dict: root, name (the instance), and optionally fullname (default: the instance's name), component, keep */}}
{{- define "postgres.metadata" -}}
{{- include "service.metadata" (dict "root" .root "name" .name "fullname" (.fullname | default .name) "component" (.component | default "postgres") "keep" .keep) }}
{{- end -}}

{{- define "postgres.selector" -}}
{{- include "service.selectorLabels" (dict "root" .root "name" .name "component" "postgres") }}
{{- end -}}

{{/* The Secret with the superuser's password, as YAML {secret, key}. */}}
{{- define "postgres.superuser" -}}
{{- $own := .values.superuser.existingSecret -}}
{{- if $own.name -}}
secret: {{ include "service.existingSecret" (dict "root" .root "secret" $own.name "value" "superuser.existingSecret.name") | quote }}
key: {{ $own.keys.password | quote }}
{{- else -}}
secret: {{ .name }}-superuser
key: password
{{- end -}}
{{- end -}}

{{/* A role has one Secret, which names one database. */}}
{{- define "postgres.checkOwners" -}}
{{- $owned := dict -}}
{{- range $entry := include "postgres.entries" . | fromYamlArray -}}
{{- $place := printf "%s%s" $entry.database (empty $entry.schema | ternary "" (printf ".%s" $entry.schema)) -}}
{{- with get $owned $entry.owner -}}
{{- fail (printf "databases: %s and %s have the same owner, %s: give each its own `owner`" . $place $entry.owner) -}}
{{- end -}}
{{- $_ := set $owned $entry.owner $place -}}
{{- end -}}
{{- end -}}

{{/* The entries of `databases` with their defaults filled in, as a YAML list. */}}
{{- define "postgres.entries" -}}
{{- $instance := .name -}}
{{- range $entry := .values.databases }}
{{- $owner := $entry.owner | default $entry.database }}
- database: {{ $entry.database | quote }}
  owner: {{ $owner | quote }}
  schema: {{ $entry.schema | default "" | quote }}
  secret: {{ $entry.secret | default (printf "%s-%s" $instance ($owner | replace "_" "-")) | quote }}
  existing: {{ $entry.existing | default false }}
  passwordKey: {{ $entry.passwordKey | default "password" | quote }}
  publications: {{ $entry.publications | default list | toJson }}
  {{- with $entry.capture }}
  capture:
    role: {{ .role | quote }}
    secret: {{ .secret | quote }}
    existing: {{ .existing | default false }}
    passwordKey: {{ .passwordKey | default "password" | quote }}
  {{- end }}
  {{- with $entry.serving }}
  serving:
    role: {{ .role | quote }}
    secret: {{ .secret | quote }}
    existing: {{ .existing | default false }}
    passwordKey: {{ .passwordKey | default "password" | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The login of every role, as a YAML list of {role, secret, existing, passwordKey, database}. */}}
{{- define "postgres.logins" -}}
{{- range $entry := include "postgres.entries" . | fromYamlArray }}
- role: {{ $entry.owner | quote }}
  database: {{ $entry.database | quote }}
  {{- pick $entry "secret" "existing" "passwordKey" | toYaml | nindent 2 }}
{{- range list $entry.capture $entry.serving }}
{{- with . }}
- role: {{ .role | quote }}
  database: {{ $entry.database | quote }}
  {{- pick . "secret" "existing" "passwordKey" | toYaml | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
