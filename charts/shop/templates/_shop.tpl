{{/* The services of the reference system, and their databases. Most templates take a dict: root, name (the service). */}}

{{- define "shop.names" -}}
orders inventory payments invoices shipping catalog
{{- end -}}

{{/* The services that react to events of others: they place and ship an order with no coordinator. */}}
{{- define "shop.reacting" -}}
orders inventory payments invoices shipping
{{- end -}}

{{/* The source of the events that a service reads, as YAML; empty if it does not; dict: root, name. */}}
{{- define "shop.kafka" -}}
{{- $values := .root.Values -}}
{{- if and $values.kompensa.enabled (has .name (include "shop.reacting" . | splitList " ")) -}}
bootstrap: {{ $values.kafka.bootstrap | default (printf "backbone-kafka.%s.svc:9092" $values.kompensa.namespace) | quote }}
group: {{ printf "kompensa-reactions.%s.%s" .root.Release.Namespace .name | quote }}
topicPrefix: {{ $values.kompensa.topicPrefix | quote }}
{{- end -}}
{{- end -}}

{{/* Fails if the values of a service's database contradict each other; dict: root, name. */}}
{{- define "shop.checkDatabase" -}}
{{- $database := (get .root.Values.services .name).database -}}
{{- $value := printf "services.%s.database" .name -}}
{{- if and (not $database.bundled) (not $database.existingSecret.name) -}}
{{- fail (printf "%s.existingSecret.name is needed when %s.bundled is false: name a Secret with the login of your database" $value $value) -}}
{{- else if and $database.instance (not $database.bundled) -}}
{{- fail (printf "%s.instance is set, but %s.bundled is false, so the chart makes no PostgreSQL: remove one of the two" $value $value) -}}
{{- else if and $database.instance (eq .root.Values.isolation "schema") -}}
{{- fail (printf "%s.instance is set, but isolation is schema, with one PostgreSQL for all services: set its fields in sharedDatabase" $value) -}}
{{- end -}}
{{- end -}}

{{/*
A change of isolation makes new servers and moves no data. So an install or upgrade fails if it is about to make an
instance while volumes of the other isolation exist; dict: root, values (of the instance), name (of the instance).
*/}}
{{- define "shop.checkIsolation" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $isolation := .root.Values.isolation -}}
{{- $own := .values.storage.existingClaim | default (printf "%s-data" .name) -}}
{{- if not (lookup "v1" "PersistentVolumeClaim" $namespace $own) -}}
{{- $found := list -}}
{{- range ternary (list "shop") (include "shop.names" . | splitList " ") (eq $isolation "instance") -}}
{{- $claim := printf "%s-postgres-data" . -}}
{{- if lookup "v1" "PersistentVolumeClaim" $namespace $claim -}}
{{- $found = append $found $claim -}}
{{- end -}}
{{- end -}}
{{- if $found -}}
{{- fail (printf "isolation is %s, but namespace %s has data of the other isolation, in PersistentVolumeClaim %s. Services would start with empty databases: set isolation to %s to keep them, or move the data as the chart's README says under `How data are kept apart`" $isolation $namespace (join ", " $found) (ternary "schema" "instance" (eq $isolation "instance"))) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Name of the Secret with a service's login; dict: root, name. */}}
{{- define "shop.databaseSecret" -}}
{{- with (get .root.Values.services .name).database.existingSecret.name -}}
{{- $value := printf "services.%s.database.existingSecret.name" $.name -}}
{{- include "service.existingSecret" (dict "root" $.root "secret" . "value" $value) -}}
{{- else -}}
{{- printf "%s-postgres" .name -}}
{{- end -}}
{{- end -}}

{{/* Name of the Secret of the role that reads a service's outbox; empty for a service without one. dict: root, name. */}}
{{- define "shop.captureSecret" -}}
{{- $database := (get .root.Values.services .name).database -}}
{{- if hasKey $database "existingCaptureSecret" -}}
{{- $value := printf "services.%s.database.existingCaptureSecret.name" .name -}}
{{- with $database.existingCaptureSecret.name -}}
{{- include "service.existingSecret" (dict "root" $.root "secret" . "value" $value) -}}
{{- else -}}
{{- if not $database.bundled -}}
{{- fail (printf "%s is needed when services.%s.database.bundled is false: name the Secret of a role with LOGIN and REPLICATION" $value .name) -}}
{{- end -}}
{{- printf "%s-capture" .name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The callers in the access table of each service (services/<name>/src/<name>/app.py). A test compares the two. */}}
{{- define "shop.callers" -}}
engine backoffice
{{- end -}}

{{/* Name of the Secret with the tokens of a service's callers; empty if callers are not checked. dict: root, name. */}}
{{- define "shop.callerSecret" -}}
{{- $callers := .root.Values.callers -}}
{{- if $callers.enabled -}}
{{- with get $callers.existingSecrets .name -}}
{{- include "service.existingSecret" (dict "root" $.root "secret" . "value" (printf "callers.existingSecrets.%s" $.name)) -}}
{{- else -}}
{{- printf "%s-callers" .name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails if callers.existingSecrets names a service that the shop does not have. */}}
{{- define "shop.checkCallers" -}}
{{- $names := include "shop.names" . | splitList " " -}}
{{- range $name := keys .Values.callers.existingSecrets | sortAlpha -}}
{{- if not (has $name $names) -}}
{{- fail (printf "callers.existingSecrets: %s is not a service of the shop; expected one of %s" $name (join ", " $names)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Name of the Secret of the role that serves; empty if the role that migrates serves too, because its login is the user's
and there is no second one. dict: root, name.
*/}}
{{- define "shop.servingSecret" -}}
{{- $database := (get .root.Values.services .name).database -}}
{{- with $database.existingServingSecret.name -}}
{{- $value := printf "services.%s.database.existingServingSecret.name" $.name -}}
{{- include "service.existingSecret" (dict "root" $.root "secret" . "value" $value) -}}
{{- else -}}
{{- if and $database.bundled (not $database.existingSecret.name) -}}
{{- printf "%s-serving" .name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
A reference to a Secret in a custom resource, with the keys of a Secret of the user's; dict: secret, own (its values).
*/}}
{{- define "shop.secretRef" -}}
name: {{ .secret | quote }}
{{- if .own.name }}
{{- $parts := pick .own.keys "host" "port" "database" "username" "password" }}
keys: {{ ternary (pick .own.keys "url") $parts (not (empty .own.keys.url)) | toJson }}
{{- end }}
{{- end -}}

{{/* Name of the PostgreSQL of a service: its own, or the one of all services; dict: root, name. */}}
{{- define "shop.instanceName" -}}
{{- printf "%s-postgres" (ternary .name "shop" (eq .root.Values.isolation "instance")) -}}
{{- end -}}

{{/* Labels of the pods of a service's PostgreSQL; empty if the database is elsewhere. dict: root, name. */}}
{{- define "shop.databasePods" -}}
{{- if (get .root.Values.services .name).database.bundled -}}
{{- include "service.selectorLabels" (dict "root" .root "name" (include "shop.instanceName" .) "component" "postgres") }}
{{- end -}}
{{- end -}}

{{/*
Names of the Replicas that write into a service's database, separated by blanks: those of manifests/shop/replicas.yaml
whose table is in the service's schema. dict: root, name.
*/}}
{{- define "shop.replicas" -}}
{{- $names := list -}}
{{- range $document := .root.Files.Get "files/replicas.yaml" | splitList "\n---\n" -}}
{{- $manifest := fromYaml $document -}}
{{- if hasPrefix (printf "%s." $.name) $manifest.spec.target.table -}}
{{- $names = append $names $manifest.metadata.name -}}
{{- end -}}
{{- end -}}
{{- join " " $names -}}
{{- end -}}

{{/*
The publications of a service's Outboxes, as a YAML list: those of manifests/shop/outboxes.yaml whose table is in the
service's schema. In a shared database, the owner may fill them but may not create them. dict: root, name.
*/}}
{{- define "shop.publications" -}}
{{- $names := list -}}
{{- range $document := .root.Files.Get "files/outboxes.yaml" | splitList "\n---\n" -}}
{{- $manifest := fromYaml $document -}}
{{- if hasPrefix (printf "%s." $.name) $manifest.spec.table -}}
{{- $names = append $names (include "shop.publication" (dict "root" $.root "name" $manifest.metadata.name)) -}}
{{- end -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{/*
The publication of an Outbox, under the operator's name for it (cdc/src/kompensa_cdc/capture/naming.py). dict: root,
name (of the Outbox).
*/}}
{{- define "shop.publication" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $plain := printf "kompensa_%s_%s" $namespace .name | replace "-" "_" -}}
{{- if or (contains "-" $namespace) (contains "-" .name) (gt (len $plain) 63) -}}
{{- printf "%s_%s" ($plain | trunc 54 | trimSuffix "_") (printf "%s/%s" $namespace .name | sha256sum | trunc 8) -}}
{{- else -}}
{{- $plain -}}
{{- end -}}
{{- end -}}

{{/* The operator's pods, as a NetworkPolicy's peer. */}}
{{- define "shop.operatorPeer" -}}
{{- $labels := dict "app.kubernetes.io/name" "kompensa" "app.kubernetes.io/component" "operator" -}}
{{- include "service.peer" (dict "labels" $labels "namespace" .Values.kompensa.namespace) }}
{{- end -}}
