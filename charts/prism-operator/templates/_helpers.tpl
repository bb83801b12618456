{{- /* What names of objects begin with: room is left for the longest ending within 63. */ -}}
{{- define "prism-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 35 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 35 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "prism-operator.manager" -}}
{{ include "prism-operator.fullname" . }}-controller-manager
{{- end -}}

{{- define "prism-operator.metricsService" -}}
{{ include "prism-operator.manager" . }}-metrics
{{- end -}}

{{- define "prism-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "prism-operator.manager" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "prism-operator.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- /* "true" where there is a webhook: its configuration is one for the whole cluster. */ -}}
{{- define "prism-operator.webhook" -}}
{{- $reachable := or (not .Values.watchNamespaces) .Values.webhook.certManager.enabled -}}
{{- if and .Values.webhook.enabled (not .Values.shard) $reachable -}}
true
{{- end -}}
{{- end -}}

{{- define "prism-operator.webhookService" -}}
{{ include "prism-operator.fullname" . }}-webhook-service
{{- end -}}

{{- define "prism-operator.certificate" -}}
{{ include "prism-operator.fullname" . }}-serving-cert
{{- end -}}

{{- /* What a Deployment can never change. */ -}}
{{- define "prism-operator.selectorLabels" -}}
app.kubernetes.io/name: prism-operator
app.kubernetes.io/instance: {{ .Release.Name }}
control-plane: controller-manager
{{- end -}}

{{- define "prism-operator.labels" -}}
app.kubernetes.io/name: prism-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
