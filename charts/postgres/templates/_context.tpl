{{/*
One instance, as templates that also another chart can include: the context is this chart's own, or one with the same
Values, Chart and Release (see charts/shop/templates/databases.yaml).
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
{{ include "service.disruptionBudget" (dict "root" . "fullname" (include "service.fullname" .) "name" (include "service.fullname" .) "component" "postgres") }}
{{- if .Values.networkPolicy.enabled }}
---
{{ include "postgres.networkPolicy" . }}
{{- end }}
{{- end -}}

{{/* dict: root, and optionally suffix, component, keep */}}
{{- define "postgres.metadata" -}}
{{- $fullname := include "service.fullname" .root -}}
{{- $named := dict "root" .root "name" $fullname "component" (.component | default "postgres") "keep" .keep -}}
{{- include "service.metadata" (merge (dict "fullname" (.named | default (printf "%s%s" $fullname (.suffix | default "")))) $named) }}
{{- end -}}

{{- define "postgres.selector" -}}
{{- include "service.selectorLabels" (dict "root" . "name" (include "service.fullname" .) "component" "postgres") }}
{{- end -}}

{{/* Labels of the pod of a Job; dict: root, component. */}}
{{- define "postgres.jobLabels" -}}
{{- include "service.selectorLabels" (dict "root" .root "name" (include "service.fullname" .root) "component" .component) }}
{{- end -}}

{{- define "postgres.superuserSecret" -}}
{{- with .Values.superuser.existingSecret -}}
{{- include "service.existingSecret" (dict "root" $ "secret" . "value" "superuser.existingSecret") -}}
{{- else -}}
{{- printf "%s-superuser" (include "service.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* The Secret of a role has one database in it. */}}
{{- define "postgres.checkOwners" -}}
{{- $root := . -}}
{{- $owned := dict -}}
{{- range .Values.databases -}}
{{- $entry := include "postgres.entry" (dict "root" $root "entry" .) | fromYaml -}}
{{- $place := printf "%s%s" $entry.database (empty $entry.schema | ternary "" (printf ".%s" $entry.schema)) -}}
{{- with get $owned $entry.owner -}}
{{- fail (printf "databases: %s and %s have the same owner, %s: give each an `owner` of its own" . $place $entry.owner) -}}
{{- end -}}
{{- $_ := set $owned $entry.owner $place -}}
{{- end -}}
{{- end -}}

{{/* One entry of `databases` with its defaults filled in, as YAML; dict: root, entry. */}}
{{- define "postgres.entry" -}}
{{- $entry := .entry -}}
{{- $owner := $entry.owner | default $entry.database -}}
database: {{ $entry.database }}
owner: {{ $owner }}
schema: {{ $entry.schema | default "" | quote }}
secret: {{ $entry.secret | default (printf "%s-%s" (include "service.fullname" .root) ($owner | replace "_" "-")) }}
existing: {{ $entry.existing | default false }}
publications: {{ $entry.publications | default list | toJson }}
{{- with $entry.capture }}
capture:
  role: {{ .role }}
  secret: {{ .secret }}
  existing: {{ .existing | default false }}
{{- end }}
{{- end -}}

{{/* Every login to provide, as a YAML list of {role, secret, existing, database}. */}}
{{- define "postgres.logins" -}}
{{- $root := . -}}
{{- range .Values.databases }}
{{- $entry := include "postgres.entry" (dict "root" $root "entry" .) | fromYaml }}
- {role: {{ $entry.owner }}, secret: {{ $entry.secret }}, existing: {{ $entry.existing }}, database: {{ $entry.database }}}
{{- with $entry.capture }}
- {role: {{ .role }}, secret: {{ .secret }}, existing: {{ .existing }}, database: {{ $entry.database }}}
{{- end }}
{{- end }}
{{- end -}}
