//! Groups of well-known artifacts whose jars do not say theirs: who builds without Maven, or strips what Maven adds.
//!
//! A row counts only where a class lies in its package, so that another library of the same name is not mistaken for it.

/// Artifact, group, and the package of its classes. A `*` at the end stands for any rest.
const KNOWN: &[(&str, &str, &str)] = &[
    ("bcprov-*", "org.bouncycastle", "org/bouncycastle/"),
    (
        "commons-beanutils",
        "commons-beanutils",
        "org/apache/commons/beanutils/",
    ),
    ("commons-codec", "commons-codec", "org/apache/commons/codec/"),
    (
        "commons-collections",
        "commons-collections",
        "org/apache/commons/collections/",
    ),
    (
        "commons-collections4",
        "org.apache.commons",
        "org/apache/commons/collections4/",
    ),
    (
        "commons-compress",
        "org.apache.commons",
        "org/apache/commons/compress/",
    ),
    (
        "commons-configuration2",
        "org.apache.commons",
        "org/apache/commons/configuration2/",
    ),
    (
        "commons-fileupload",
        "commons-fileupload",
        "org/apache/commons/fileupload/",
    ),
    ("commons-io", "commons-io", "org/apache/commons/io/"),
    ("commons-lang3", "org.apache.commons", "org/apache/commons/lang3/"),
    ("commons-text", "org.apache.commons", "org/apache/commons/text/"),
    ("dom4j", "org.dom4j", "org/dom4j/"),
    ("fastjson", "com.alibaba", "com/alibaba/fastjson/"),
    ("groovy", "org.codehaus.groovy", "org/codehaus/groovy/"),
    ("gson", "com.google.code.gson", "com/google/gson/"),
    ("guava", "com.google.guava", "com/google/common/"),
    ("h2", "com.h2database", "org/h2/"),
    ("hibernate-core", "org.hibernate", "org/hibernate/"),
    ("httpclient", "org.apache.httpcomponents", "org/apache/http/"),
    (
        "jackson-core",
        "com.fasterxml.jackson.core",
        "com/fasterxml/jackson/core/",
    ),
    (
        "jackson-databind",
        "com.fasterxml.jackson.core",
        "com/fasterxml/jackson/databind/",
    ),
    (
        "jackson-mapper-asl",
        "org.codehaus.jackson",
        "org/codehaus/jackson/",
    ),
    ("jetty-*", "org.eclipse.jetty", "org/eclipse/jetty/"),
    ("log4j", "log4j", "org/apache/log4j/"),
    (
        "log4j-api",
        "org.apache.logging.log4j",
        "org/apache/logging/log4j/",
    ),
    (
        "log4j-core",
        "org.apache.logging.log4j",
        "org/apache/logging/log4j/core/",
    ),
    (
        "log4j-slf4j-impl",
        "org.apache.logging.log4j",
        "org/apache/logging/slf4j/",
    ),
    (
        "log4j-to-slf4j",
        "org.apache.logging.log4j",
        "org/apache/logging/slf4j/",
    ),
    ("logback-classic", "ch.qos.logback", "ch/qos/logback/classic/"),
    ("logback-core", "ch.qos.logback", "ch/qos/logback/core/"),
    ("mysql-connector-java", "mysql", "com/mysql/"),
    ("netty-*", "io.netty", "io/netty/"),
    ("okhttp", "com.squareup.okhttp3", "okhttp3/"),
    ("okio", "com.squareup.okio", "okio/"),
    ("postgresql", "org.postgresql", "org/postgresql/"),
    ("protobuf-java", "com.google.protobuf", "com/google/protobuf/"),
    ("shiro-core", "org.apache.shiro", "org/apache/shiro/"),
    ("shiro-web", "org.apache.shiro", "org/apache/shiro/"),
    ("snakeyaml", "org.yaml", "org/yaml/snakeyaml/"),
    (
        "spring-boot",
        "org.springframework.boot",
        "org/springframework/boot/",
    ),
    (
        "spring-boot-*",
        "org.springframework.boot",
        "org/springframework/boot/",
    ),
    (
        "spring-cloud-function-*",
        "org.springframework.cloud",
        "org/springframework/cloud/function/",
    ),
    (
        "spring-cloud-gateway-*",
        "org.springframework.cloud",
        "org/springframework/cloud/gateway/",
    ),
    (
        "spring-data-*",
        "org.springframework.data",
        "org/springframework/data/",
    ),
    (
        "spring-security-*",
        "org.springframework.security",
        "org/springframework/security/",
    ),
    ("spring-aop", "org.springframework", "org/springframework/aop/"),
    (
        "spring-beans",
        "org.springframework",
        "org/springframework/beans/",
    ),
    ("spring-context", "org.springframework", "org/springframework/"),
    ("spring-core", "org.springframework", "org/springframework/core/"),
    (
        "spring-expression",
        "org.springframework",
        "org/springframework/expression/",
    ),
    (
        "spring-messaging",
        "org.springframework",
        "org/springframework/messaging/",
    ),
    ("spring-web", "org.springframework", "org/springframework/web/"),
    (
        "spring-webflux",
        "org.springframework",
        "org/springframework/web/",
    ),
    (
        "spring-webmvc",
        "org.springframework",
        "org/springframework/web/servlet/",
    ),
    ("sqlite-jdbc", "org.xerial", "org/sqlite/"),
    ("struts2-core", "org.apache.struts", "org/apache/struts2/"),
    (
        "tomcat-embed-core",
        "org.apache.tomcat.embed",
        "org/apache/catalina/",
    ),
    (
        "tomcat-embed-websocket",
        "org.apache.tomcat.embed",
        "org/apache/tomcat/websocket/",
    ),
    ("undertow-core", "io.undertow", "io/undertow/"),
    ("velocity", "org.apache.velocity", "org/apache/velocity/"),
    ("xalan", "xalan", "org/apache/xalan/"),
    ("xercesImpl", "xerces", "org/apache/xerces/"),
    ("xstream", "com.thoughtworks.xstream", "com/thoughtworks/xstream/"),
];

/// The group of an artifact, if it is known and the archive has a class in its package.
pub(super) fn group_of(artifact: &str, has_class_in: impl Fn(&str) -> bool) -> Option<&'static str> {
    let row = KNOWN.iter().find(|(name, ..)| match name.strip_suffix('*') {
        Some(start) => artifact.starts_with(start),
        None => artifact == *name,
    });
    row.filter(|(_, _, package)| has_class_in(package))
        .map(|(_, group, _)| *group)
}
