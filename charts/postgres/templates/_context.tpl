{{/*
One instance, as templates that also another chart can include: the context is this chart's own, or one with the same
Values, Chart and Release (see charts/shop/templates/databases.yaml).
*/}}

{{- define "postgres.objects" -}}
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
{{- .Values.superuser.existingSecret | default (printf "%s-superuser" (include "service.fullname" .)) -}}
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
