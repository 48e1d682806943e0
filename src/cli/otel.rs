//! Traces for OpenTelemetry: what `sys::spans` marks, sent to a collector as the variables of OpenTelemetry say. Without an end point
//! there is no listener. A run waits for nothing here: what cannot be sent is dropped.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Config, IdGenerator, RandomIdGenerator, SamplingDecision, ShouldSample, SpanData, SpanEvents,
    SpanExporter, SpanLinks, SpanProcessor,
};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use crate::config::env::Variables;
use crate::project::wiring::{TraceSender, trace_sender};
use crate::sys::clock::{Clock, Mark};
use crate::sys::{secrets, spans};

/// Longest wait for the collector at the end of the program.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// Longest wait for an answer of the collector, where no variable says.
const EXPORT_MAX: Duration = Duration::from_secs(10);

/// The variables that name an end point, the headers and the time: the one for traces goes before the one for everything.
const ENDPOINT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const TIMEOUT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const PROTOCOL: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// Sends what was marked, until it is ended.
pub(super) struct Export {
    processor: Arc<BatchSpanProcessor>,
    troubles: Arc<Troubles>,
}

impl Export {
    /// Sends what is left, for a few seconds at most.
    pub(super) fn end(self) {
        if let Err(error) = self.processor.shutdown_with_timeout(FLUSH_MAX) {
            self.troubles.tell(&error.to_string());
        }
    }
}

/// What listens to spans, and what ends it; none where the variables name no end point.
///
/// Errors: they ask for what cannot be.
pub(super) fn begin(variables: Variables<'_>, runtime: &Handle) -> Result<Option<(Spans, Export)>, String> {
    let set = |name: &str| variables(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let is = |name: &str, value: &str| set(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    let Some(url) = endpoint(&set)? else { return Ok(None) };
    if let Some(other) = PROTOCOL.into_iter().find_map(&set).filter(|protocol| protocol != "http/protobuf") {
        return Err(format!("traces are sent by `http/protobuf`, and `{other}` is asked for"));
    }
    for value in HEADERS.into_iter().filter_map(&set).flat_map(|headers| values(&headers)) {
        secrets::remember(&value);
    }
    let time_max = TIMEOUT.into_iter().find_map(&set).and_then(|time| time.parse().ok());
    let time_max = time_max.map_or(EXPORT_MAX, Duration::from_millis);
    let troubles = Arc::new(Troubles::default());
    let sender = trace_sender(url.clone(), time_max)?;
    let client = Client { sender, runtime: runtime.clone(), troubles: Arc::clone(&troubles) };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(url.as_str())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(time_max)
        // The thread that tries again would be the one that takes new spans, and the end of the program waits for it.
        .with_retry_policy(RetryPolicy::disabled());
    let mut exporter = exporter.build().map_err(|error| error.to_string())?;
    exporter.set_resource(&resource());
    // Its queue is bounded, and drops what comes when it is full.
    let processor = Arc::new(BatchSpanProcessor::builder(exporter).build());
    let spans = Spans {
        processor: Arc::clone(&processor),
        sampler: Config::default().sampler,
        ids: RandomIdGenerator::default(),
        scope: InstrumentationScope::builder("syncline").with_version(env!("CARGO_PKG_VERSION")).build(),
        clock: Clock::system(),
    };
    Ok(Some((spans, Export { processor, troubles })))
}

/// Where traces go. Errors: that is no address.
fn endpoint(set: &dyn Fn(&str) -> Option<String>) -> Result<Option<Url>, String> {
    let [for_traces, for_all] = ENDPOINT;
    let (name, text, path) = match (set(for_traces), set(for_all)) {
        (Some(text), _) => (for_traces, text, ""),
        (None, Some(text)) => (for_all, text, "/v1/traces"),
        (None, None) => return Ok(None),
    };
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    // The address is not repeated: it may hold a password.
    let mut url = url.ok_or_else(|| format!("`{name}` is no address that begins with http:// or https://"))?;
    if !path.is_empty() {
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
    }
    secrets::remember(url.password().unwrap_or_default());
    Ok(Some(url))
}

/// The values of headers as `name=value,name=value`: as they stand there, as they are sent, and without the word in front that names
/// the kind of a token.
fn values(headers: &str) -> Vec<String> {
    let values = headers.split(',').filter_map(|header| Some(header.split_once('=')?.1.trim()));
    let forms = values.flat_map(|value| {
        let sent = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
        let token = sent.rsplit(' ').next().unwrap_or_default().to_owned();
        [value.to_owned(), sent, token]
    });
    forms.collect()
}

/// What the program is called, unless a variable says.
fn resource() -> Resource {
    let told = Resource::builder().build();
    let text = |key: &'static str| told.get(&Key::from_static_str(key)).map(|value| value.to_string());
    let mut builder = Resource::builder();
    if text("service.name").is_none_or(|name| name.starts_with("unknown_service")) {
        builder = builder.with_service_name("syncline");
    }
    if text("service.version").is_none() {
        builder = builder.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    }
    builder.build()
}

/// What went wrong with sending: each time at debug, and once as a warning.
#[derive(Default)]
struct Troubles {
    told: AtomicBool,
}

impl Troubles {
    fn tell(&self, why: &str) {
        if self.told.swap(true, Ordering::Relaxed) {
            tracing::debug!(why, "traces were not exported");
        } else {
            tracing::warn!(why, "traces cannot be exported; runs go on, and this is not said again");
        }
    }
}

/// Sends what the exporter asks for, on the program's runtime: the exporter's own thread has none.
struct Client {
    sender: TraceSender,
    runtime: Handle,
    troubles: Arc<Troubles>,
}

impl Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl HttpClient for Client {
    fn send_bytes<'client, 'sending>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sending>>
    where
        'client: 'sending,
        Self: 'sending,
    {
        let (head, body) = request.into_parts();
        let sent = self.runtime.spawn((self.sender)(head.headers, body));
        Box::pin(async move {
            let why = match sent.await {
                Ok(Ok((status, body))) => {
                    if !(200..300).contains(&status) {
                        self.troubles.tell(&format!("the collector answered with HTTP {status}"));
                    }
                    return Ok(Response::builder().status(status).body(body)?);
                }
                Ok(Err(why)) => why,
                // Only the end of the program ends a task.
                Err(_) => return Err("the program ended".into()),
            };
            self.troubles.tell(&why);
            Err(why.into())
        })
    }
}

/// Makes of marked spans those of OpenTelemetry. Not by its own tracer, which takes no trace id from others.
pub(super) struct Spans {
    processor: Arc<BatchSpanProcessor>,
    sampler: Box<dyn ShouldSample>,
    ids: RandomIdGenerator,
    scope: InstrumentationScope,
    clock: Clock,
}

/// A span that goes on.
struct Open {
    data: SpanData,
    since: Mark,
}

impl Spans {
    /// The trace of a span, its own id and that of its parent; none where it is to be left out.
    fn place(
        &self,
        name: &str,
        parent: Option<&SpanContext>,
        fields: &Fields,
    ) -> Option<(TraceId, SpanId, Option<SpanId>)> {
        if let Some(parent) = parent {
            return Some((parent.trace_id(), self.ids.new_span_id(), Some(parent.span_id())));
        }
        // What belongs to no run is in no trace, and what belongs to one that is not sampled neither.
        let trace_id = fields.trace_id.filter(|id| *id != 0)?;
        let trace = TraceId::from(trace_id);
        let sampled = self.sampler.should_sample(None, trace, name, &fields.kind(), &fields.attributes, &[]);
        if sampled.decision != SamplingDecision::RecordAndSample {
            return None;
        }
        // By chance as well, and known to what is done for the run after its end.
        let root = SpanId::from(trace_id as u64);
        Some(if name == spans::RUN { (trace, root, None) } else { (trace, self.ids.new_span_id(), Some(root)) })
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = span.parent();
        let parent = parent.and_then(|parent| Some(parent.extensions().get::<Open>()?.data.span_context.clone()));
        let name = attributes.metadata().name();
        // The parent of a part of a run that is left out is left out as well, and no part begins a trace.
        let Some((trace, own, parent)) = self.place(name, parent.as_ref(), &fields) else { return };
        let began = SystemTime::UNIX_EPOCH + self.clock.now().duration_since(Timestamp::UNIX_EPOCH).unsigned_abs();
        let mut data = SpanData {
            span_context: SpanContext::new(trace, own, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: false,
            span_kind: fields.kind(),
            name: Cow::Borrowed(name),
            start_time: began,
            end_time: began,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        };
        fields.enter(&mut data);
        span.extensions_mut().insert(Open { data, since: self.clock.mark() });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            let mut fields = Fields::default();
            values.record(&mut fields);
            fields.enter(&mut open.data);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(Open { mut data, since }) = context.span(&id).and_then(|span| span.extensions_mut().remove()) else {
            return;
        };
        // By the clock that counts: the other one may be set meanwhile.
        data.end_time = data.start_time + self.clock.since(since);
        self.processor.on_end(data);
    }
}

/// The fields of a span: its attributes, and what names itself with `otel.`.
#[derive(Default)]
struct Fields {
    trace_id: Option<u128>,
    name: Option<String>,
    is_client: bool,
    is_error: bool,
    attributes: Vec<KeyValue>,
}

impl Fields {
    fn kind(&self) -> SpanKind {
        if self.is_client { SpanKind::Client } else { SpanKind::Internal }
    }

    fn enter(self, data: &mut SpanData) {
        if let Some(name) = self.name {
            data.name = Cow::Owned(name);
        }
        if self.is_error {
            data.status = Status::error("");
        }
        data.attributes.extend(self.attributes);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "otel.name" => self.name = Some(value.to_owned()),
            "otel.kind" => self.is_client = value == "client",
            "otel.status_code" => self.is_error = value == "error",
            name => self.attributes.push(KeyValue::new(name, value.to_owned())),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.attributes.push(KeyValue::new(field.name(), i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_u128(&mut self, _: &Field, value: u128) {
        self.trace_id = Some(value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let set = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        endpoint(&set).map(|url| url.map(String::from))
    }

    #[test]
    fn an_end_point_is_what_the_variables_say() {
        let [for_traces, for_all] = ENDPOINT;
        assert_eq!(address(&[]), Ok(None));
        for given in ["http://localhost:4318", "http://localhost:4318/"] {
            assert_eq!(address(&[(for_all, given)]).unwrap().unwrap(), "http://localhost:4318/v1/traces");
        }
        let both = [(for_all, "http://localhost:4318"), (for_traces, "https://traces.test/in")];
        assert_eq!(address(&both).unwrap().unwrap(), "https://traces.test/in");
        for wrong in ["localhost:4318", "collector", "http://", "grpc://x:4317", "https://u:a-password@"] {
            let error = address(&[(for_all, wrong)]).unwrap_err();
            assert!(error.contains(for_all) && !error.contains("a-password"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_header_is_secret_in_each_of_its_forms() {
        assert_eq!(
            values("authorization=Bearer%20a-token-1, x-team = seven,broken"),
            ["Bearer%20a-token-1", "Bearer a-token-1", "a-token-1", "seven", "seven", "seven"]
        );
    }
}
