{{/* What the reference system's services are, beyond what values say. */}}

{{- define "shop.names" -}}
orders inventory payments invoices shipping
{{- end -}}

{{/* Fields of an instance that a service does not have would be without effect; dict: root, name. */}}
{{- define "shop.checkDatabase" -}}
{{- $database := (get .root.Values.services .name).database -}}
{{- $value := printf "services.%s.database" .name -}}
{{- if and $database.instance $database.existingSecret -}}
{{- fail (printf "%s.instance is set, but %s.existingSecret names a database of yours, so no PostgreSQL is made: remove one of the two" $value $value) -}}
{{- else if and $database.instance (eq .root.Values.isolation "schema") -}}
{{- fail (printf "%s.instance is set, but isolation is schema, with one PostgreSQL for all services: set its fields in sharedDatabase" $value) -}}
{{- end -}}
{{- end -}}

{{/*
A change of isolation makes new servers, and moves no data: it is refused where an instance is yet to be made and the
data of the other isolation are there. dict: root, values (of the instance).
*/}}
{{- define "shop.checkIsolation" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $isolation := .root.Values.isolation -}}
{{- $own := .values.storage.existingClaim | default (printf "%s-data" .values.fullnameOverride) -}}
{{- if not (lookup "v1" "PersistentVolumeClaim" $namespace $own) -}}
{{- $found := list -}}
{{- range ternary (list "shop") (include "shop.names" . | splitList " ") (eq $isolation "instance") -}}
{{- $claim := printf "%s-postgres-data" . -}}
{{- if lookup "v1" "PersistentVolumeClaim" $namespace $claim -}}
{{- $found = append $found $claim -}}
{{- end -}}
{{- end -}}
{{- if $found -}}
{{- fail (printf "isolation is %s, but namespace %s has data of the other isolation, in PersistentVolumeClaim %s, and services would start with empty databases: set isolation to %s to keep them, or move the data as the chart's README says under `How data are kept apart`" $isolation $namespace (join ", " $found) (ternary "schema" "instance" (eq $isolation "instance"))) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Secret with a service's login; dict: root, name. */}}
{{- define "shop.databaseSecret" -}}
{{- with (get .root.Values.services .name).database.existingSecret -}}
{{- include "service.existingSecret" (dict "root" $.root "secret" . "value" (printf "services.%s.database.existingSecret" $.name)) -}}
{{- else -}}
{{- printf "%s-postgres" .name -}}
{{- end -}}
{{- end -}}

{{/* Secret with the login that reads a service's outbox; empty for a service without one. dict: root, name. */}}
{{- define "shop.captureSecret" -}}
{{- if eq .name "orders" -}}
{{- $database := .root.Values.services.orders.database -}}
{{- if $database.existingSecret -}}
{{- $secret := required "services.orders.database.existingCaptureSecret is needed beside existingSecret: name the Secret of a role with LOGIN and REPLICATION" $database.existingCaptureSecret -}}
{{- include "service.existingSecret" (dict "root" .root "secret" $secret "value" "services.orders.database.existingCaptureSecret") -}}
{{- else if $database.existingCaptureSecret -}}
{{- fail (printf "services.orders.database.existingCaptureSecret names Secret %s, but existingSecret names none, so a PostgreSQL is made: set existingSecret as well, or neither" $database.existingCaptureSecret) -}}
{{- else -}}
orders-capture
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Name of the PostgreSQL of a service: its own, or the one of all. */}}
{{- define "shop.instance" -}}
{{- printf "%s-postgres" (ternary .name "shop" (eq .root.Values.isolation "instance")) -}}
{{- end -}}

{{/* Labels of the pods of a service's PostgreSQL; empty where the database is elsewhere. dict: root, name. */}}
{{- define "shop.databasePods" -}}
{{- if not (get .root.Values.services .name).database.existingSecret -}}
{{- include "service.selectorLabels" (dict "root" .root "name" (include "shop.instance" .) "component" "postgres") }}
{{- end -}}
{{- end -}}

{{/* Names of the Replicas that write into a service's database, as JSON. */}}
{{- define "shop.replicas" -}}
{{- get (dict "invoices" (list "invoices-customers") "shipping" (list "shipping-customers")) .name | default list | toJson -}}
{{- end -}}

{{/* What a service needs in a PostgreSQL: an entry of the chart postgres' `databases`; dict: root, name. */}}
{{- define "shop.databaseEntry" -}}
database: {{ ternary .name "shop" (eq .root.Values.isolation "instance") }}
owner: {{ .name }}
secret: {{ include "shop.databaseSecret" . }}
{{- if eq .root.Values.isolation "schema" }}
schema: {{ .name }}
{{- end }}
{{- with include "shop.captureSecret" . }}
capture: {role: {{ $.name }}_capture, secret: {{ . }}}
{{- if eq $.root.Values.isolation "schema" }}
publications: [{{ include "shop.publication" $ }}]
{{- end }}
{{- end }}
{{- end -}}

{{/*
The publication of a service's Outbox, named as the operator names it (cdc/src/kompensa_cdc/capture/naming.py): in a
shared database its owner may fill it but could not create it. dict: root, name.
*/}}
{{- define "shop.publication" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $plain := printf "kompensa_%s_%s" $namespace .name | replace "-" "_" -}}
{{- if or (contains "-" $namespace) (gt (len $plain) 63) -}}
{{- printf "%s_%s" ($plain | trunc 54 | trimSuffix "_") (printf "%s/%s" $namespace .name | sha256sum | trunc 8) -}}
{{- else -}}
{{- $plain -}}
{{- end -}}
{{- end -}}

{{/* Peers that may connect to a service's PostgreSQL; dict: root, name. */}}
{{- define "shop.databasePeers" -}}
{{ include "service.peer" (dict "labels" (include "service.selectorLabels" (dict "root" .root "name" .name "component" "service") | fromYaml)) }}
{{- range include "shop.replicas" . | fromJsonArray }}
{{ include "service.peer" (dict "labels" (dict "kompensa.dev/replica" .)) }}
{{- end }}
{{- if include "shop.captureSecret" . }}
{{ include "service.peer" (dict "labels" (dict "app.kubernetes.io/name" "kompensa" "app.kubernetes.io/component" "operator") "namespace" .root.Values.kompensa.namespace) }}
{{ include "service.peer" (dict "labels" (dict "app.kubernetes.io/component" "connect") "namespace" .root.Values.kompensa.connectNamespace) }}
{{- end }}
{{- end -}}
