from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateNamespaceRequest(_message.Message):
    __slots__ = ("namespace", "requesting_proxy", "config", "principal")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUESTING_PROXY_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    requesting_proxy: str
    config: NamespaceConfig
    principal: str
    def __init__(self, namespace: _Optional[str] = ..., requesting_proxy: _Optional[str] = ..., config: _Optional[_Union[NamespaceConfig, _Mapping]] = ..., principal: _Optional[str] = ...) -> None: ...

class CreateNamespaceResponse(_message.Message):
    __slots__ = ("success", "message", "assigned_partition", "assigned_proxy")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_PARTITION_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_PROXY_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    assigned_partition: int
    assigned_proxy: str
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., assigned_partition: _Optional[int] = ..., assigned_proxy: _Optional[str] = ...) -> None: ...

class NamespaceConfig(_message.Message):
    __slots__ = ("backends", "patterns", "auth", "metadata")
    class BackendsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: BackendConfig
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[BackendConfig, _Mapping]] = ...) -> None: ...
    class PatternsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: PatternConfig
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[PatternConfig, _Mapping]] = ...) -> None: ...
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    BACKENDS_FIELD_NUMBER: _ClassVar[int]
    PATTERNS_FIELD_NUMBER: _ClassVar[int]
    AUTH_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    backends: _containers.MessageMap[str, BackendConfig]
    patterns: _containers.MessageMap[str, PatternConfig]
    auth: AuthConfig
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, backends: _Optional[_Mapping[str, BackendConfig]] = ..., patterns: _Optional[_Mapping[str, PatternConfig]] = ..., auth: _Optional[_Union[AuthConfig, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class BackendConfig(_message.Message):
    __slots__ = ("backend_type", "connection_string", "credentials", "options")
    class CredentialsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    BACKEND_TYPE_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_STRING_FIELD_NUMBER: _ClassVar[int]
    CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    backend_type: str
    connection_string: str
    credentials: _containers.ScalarMap[str, str]
    options: _containers.ScalarMap[str, str]
    def __init__(self, backend_type: _Optional[str] = ..., connection_string: _Optional[str] = ..., credentials: _Optional[_Mapping[str, str]] = ..., options: _Optional[_Mapping[str, str]] = ...) -> None: ...

class PatternConfig(_message.Message):
    __slots__ = ("pattern_name", "settings", "required_interfaces")
    class SettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PATTERN_NAME_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_INTERFACES_FIELD_NUMBER: _ClassVar[int]
    pattern_name: str
    settings: _containers.ScalarMap[str, str]
    required_interfaces: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, pattern_name: _Optional[str] = ..., settings: _Optional[_Mapping[str, str]] = ..., required_interfaces: _Optional[_Iterable[str]] = ...) -> None: ...

class AuthConfig(_message.Message):
    __slots__ = ("enabled", "provider", "options")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    provider: str
    options: _containers.ScalarMap[str, str]
    def __init__(self, enabled: _Optional[bool] = ..., provider: _Optional[str] = ..., options: _Optional[_Mapping[str, str]] = ...) -> None: ...

class NamespaceRevocation(_message.Message):
    __slots__ = ("proxy_id", "namespace", "graceful_timeout_seconds")
    PROXY_ID_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    GRACEFUL_TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    proxy_id: str
    namespace: str
    graceful_timeout_seconds: int
    def __init__(self, proxy_id: _Optional[str] = ..., namespace: _Optional[str] = ..., graceful_timeout_seconds: _Optional[int] = ...) -> None: ...

class NamespaceRevocationAck(_message.Message):
    __slots__ = ("success", "message", "revoked_at")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REVOKED_AT_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    revoked_at: int
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., revoked_at: _Optional[int] = ...) -> None: ...

class ProxyRegistration(_message.Message):
    __slots__ = ("proxy_id", "address", "region", "version", "capabilities", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROXY_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    proxy_id: str
    address: str
    region: str
    version: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, proxy_id: _Optional[str] = ..., address: _Optional[str] = ..., region: _Optional[str] = ..., version: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ProxyRegistrationAck(_message.Message):
    __slots__ = ("success", "message", "initial_namespaces", "partition_ranges")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    INITIAL_NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    PARTITION_RANGES_FIELD_NUMBER: _ClassVar[int]
    success: bool
    message: str
    initial_namespaces: _containers.RepeatedCompositeFieldContainer[NamespaceAssignment]
    partition_ranges: _containers.RepeatedCompositeFieldContainer[PartitionRange]
    def __init__(self, success: _Optional[bool] = ..., message: _Optional[str] = ..., initial_namespaces: _Optional[_Iterable[_Union[NamespaceAssignment, _Mapping]]] = ..., partition_ranges: _Optional[_Iterable[_Union[PartitionRange, _Mapping]]] = ...) -> None: ...

class NamespaceAssignment(_message.Message):
    __slots__ = ("namespace", "partition_id", "config", "version")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PARTITION_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    partition_id: int
    config: NamespaceConfig
    version: int
    def __init__(self, namespace: _Optional[str] = ..., partition_id: _Optional[int] = ..., config: _Optional[_Union[NamespaceConfig, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...

class PartitionRange(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...
