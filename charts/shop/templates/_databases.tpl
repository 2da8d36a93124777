{{/* The PostgreSQL instances that this chart makes; see databases.yaml. */}}

{{/* A service's part of a PostgreSQL: one entry of the chart postgres' `databases`, as YAML; dict: root, name. */}}
{{- define "shop.databaseEntry" -}}
{{- $database := (get .root.Values.services .name).database -}}
{{- $shared := eq .root.Values.isolation "schema" -}}
database: {{ ternary "shop" .name $shared }}
owner: {{ .name }}
secret: {{ include "shop.databaseSecret" . | quote }}
existing: {{ not (empty $database.existingSecret.name) }}
passwordKey: {{ $database.existingSecret.keys.password | quote }}
{{- if $shared }}
schema: {{ .name }}
{{- end }}
{{- with include "shop.servingSecret" . }}
{{- $own := $database.existingServingSecret }}
serving:
  role: {{ $.name }}_serving
  secret: {{ . | quote }}
  existing: {{ not (empty $own.name) }}
  passwordKey: {{ $own.keys.password | quote }}
{{- end }}
{{- with include "shop.captureSecret" . }}
{{- $own := $database.existingCaptureSecret }}
capture:
  role: {{ $.name }}_capture
  secret: {{ . | quote }}
  existing: {{ not (empty $own.name) }}
  passwordKey: {{ $own.keys.password | quote }}
{{- if $shared }}
publications: {{ include "shop.publications" $ }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Peers that may connect to a service's PostgreSQL, as a YAML list; dict: root, name. */}}
{{- define "shop.databasePeers" -}}
{{ include "service.peer" (dict "labels" (include "service.selectorLabels" (dict "root" .root "name" .name "component" "service") | fromYaml)) }}
{{- with include "shop.replicas" . }}
{{- range splitList " " . }}
{{ include "service.peer" (dict "labels" (dict "kompensa.dev/replica" .)) }}
{{- end }}
{{- end }}
{{- if include "shop.captureSecret" . }}
{{ include "shop.operatorPeer" .root }}
{{ include "service.peer" (dict "labels" .root.Values.kompensa.connectPodLabels "namespace" .root.Values.kompensa.connectNamespace) }}
{{- end }}
{{- end -}}

{{/*
One instance: the templates of the chart postgres with that chart's defaults, then the values of this chart for the
instance. dict: root, name (of the instance), services (names), values.
*/}}
{{- define "shop.instance" -}}
{{- $databases := list -}}
{{- $peers := list -}}
{{- range $service := .services -}}
{{- $of := dict "root" $.root "name" $service -}}
{{- $databases = append $databases (include "shop.databaseEntry" $of | fromYaml) -}}
{{- $peers = concat $peers (include "shop.databasePeers" $of | fromYamlArray) -}}
{{- end -}}
{{- $policy := dict "enabled" .root.Values.networkPolicy.enabled "from" $peers -}}
{{- $fixed := dict "databases" $databases "networkPolicy" $policy -}}
{{- $defaults := deepCopy .root.Subcharts.postgres.Values.AsMap -}}
{{- $values := mergeOverwrite $defaults (deepCopy .values) $fixed -}}
{{- include "shop.checkIsolation" (dict "root" .root "name" .name "values" $values) }}
{{ include "postgres.objects" (dict "root" .root "name" .name "values" $values) }}
{{- end -}}
