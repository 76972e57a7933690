//! Reports 2021-06-30: asked for, waited for, downloaded from storage.

mod document;
mod store;

use axum::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use self::store::Reports;
use self::store::{Report, Status};
use crate::{
    answer::{Answer, Refusal},
    call::{OpenCall, SellerCall},
    clock::{UnixMs, iso_ms, parse_iso},
    dice, opaque, orders,
};

const URL_LIFETIME_S: f64 = 300.0;
const DAY_S: f64 = 86_400.0;
const STATUSES: &[&str] = &["CANCELLED", "DONE", "FATAL", "IN_PROGRESS", "IN_QUEUE"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Specification {
    report_type: String,
    marketplace_ids: Vec<String>,
    data_start_time: Option<String>,
    data_end_time: Option<String>,
}

/// `POST /reports/2021-06-30/reports`
pub(crate) fn create(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    let wanted: Specification = serde_json::from_slice(call.body)
        .map_err(|error| Refusal::invalid_input(format!("Invalid request body: {error}")))?;
    let kind = document::Kind::find(&wanted.report_type)
        .ok_or_else(|| Refusal::invalid_input("Invalid Report Type"))?;
    let mine = |id: &String| call.seller.marketplaces.iter().any(|m| m.id == id);
    if !(1..=25).contains(&wanted.marketplace_ids.len()) || !wanted.marketplace_ids.iter().all(mine)
    {
        return Err(Refusal::invalid_input("Invalid marketplaceIds."));
    }
    let until = time("dataEndTime", wanted.data_end_time)?
        .unwrap_or(call.now)
        .min(call.now);
    let from =
        time("dataStartTime", wanted.data_start_time)?.unwrap_or(until - (DAY_S * 1_000.0) as i64);
    if from > until {
        return Err(Refusal::invalid_input(
            "dataStartTime must be before dataEndTime.",
        ));
    }
    let report_id = call.world.reports.add(Report {
        kind,
        seller: call.seller.index,
        marketplace_ids: wanted.marketplace_ids,
        from,
        until,
        created: call.now,
        cancelled: false,
        document_id: format!("amzn1.spdoc.1.4.{}.{}", call.seller.region, Uuid::new_v4()),
    });
    Ok(Answer::json(
        StatusCode::ACCEPTED,
        &json!({"reportId": report_id.to_string()}),
    ))
}

/// `GET /reports/2021-06-30/reports/{reportId}`
pub(crate) fn get(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    let (id, report) = find(call)?;
    Ok(Answer::ok(&view(call, &id, &report)))
}

/// `DELETE /reports/2021-06-30/reports/{reportId}`
pub(crate) fn cancel(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    let (id, report) = find(call)?;
    if report.status(call) != Status::InQueue {
        return Err(Refusal::invalid_input(
            "Only a report that is IN_QUEUE can be cancelled.",
        ));
    }
    call.world.reports.cancel(&id);
    Ok(Answer::new(
        StatusCode::OK,
        "application/json",
        Bytes::new(),
    ))
}

/// `GET /reports/2021-06-30/reports`
pub(crate) fn list(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    let filter = Filter::read(call)?;
    let mut reports = call.world.reports.of_seller(call.seller.index);
    reports.retain(|(id, report)| filter.admits(call, id, report));
    let more = reports.len() > filter.page_size;
    reports.truncate(filter.page_size);
    let views: Vec<_> = reports
        .iter()
        .map(|(id, report)| view(call, id, report))
        .collect();
    let mut document = json!({"reports": views});
    if let Some((last, _)) = reports.last().filter(|_| more) {
        document["nextToken"] = json!(filter.token_below(*last, call));
    }
    Ok(Answer::ok(&document))
}

/// `GET /reports/2021-06-30/documents/{reportDocumentId}`
pub(crate) fn document(call: &SellerCall<'_>) -> Result<Answer, Refusal> {
    let id = call.path_parameter;
    let (_, report) = call
        .world
        .reports
        .by_document(id)
        .filter(|(_, report)| {
            report.seller == call.seller.index && report.status(call) == Status::Done
        })
        .ok_or_else(|| Refusal::not_found("The report document was not found."))?;
    if report.kind.is_restricted() && call.restricted.is_none() {
        return Err(Refusal::denied(""));
    }
    let expires = call.now + call.world.pace.ms(URL_LIFETIME_S);
    let signature = sign(call.world.options.seed, id, expires);
    let base = &call.world.base_url;
    let seconds = (call.world.pace.ms(URL_LIFETIME_S) / 1_000).max(1);
    let url = format!(
        "{base}/_storage/{id}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires={seconds}\
         &X-Amz-Until={expires}&X-Amz-Signature={signature:016x}"
    );
    Ok(Answer::ok(
        &json!({"reportDocumentId": id, "url": url, "compressionAlgorithm": "GZIP"}),
    ))
}

/// `GET` of a presigned URL: as S3 answers, without Amazon's API headers.
pub(crate) fn download(call: &OpenCall<'_>) -> Answer {
    let id = call.path_parameter;
    let expires = call
        .parameters
        .get("X-Amz-Until")
        .and_then(|text| text.parse().ok());
    let signature = call.parameters.get("X-Amz-Signature");
    let signed = |expires| {
        signature
            == Some(&format!(
                "{:016x}",
                sign(call.world.options.seed, id, expires)
            ))
    };
    let Some(expires) = expires.filter(|expires| signed(*expires)) else {
        return storage_error(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match",
        );
    };
    if call.now >= expires {
        return storage_error("AccessDenied", "Request has expired");
    }
    match call.world.reports.by_document(id) {
        Some((_, report)) => document::gzipped(call, &report),
        None => storage_error("NoSuchKey", "The specified key does not exist."),
    }
}

fn storage_error(code: &str, message: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Answer::new(StatusCode::FORBIDDEN, "application/xml", body.into())
}

fn sign(seed: u64, document_id: &str, expires: UnixMs) -> u64 {
    dice::checksum(seed, format!("{document_id} {expires}").as_bytes())
}

fn find(call: &SellerCall<'_>) -> Result<(u64, Report), Refusal> {
    let id: Option<u64> = call.path_parameter.parse().ok();
    let found = id.and_then(|id| Some((id, call.world.reports.get(id)?)));
    found
        .filter(|(_, report)| report.seller == call.seller.index)
        .ok_or_else(|| Refusal::not_found("The report was not found."))
}

fn time(name: &str, text: Option<String>) -> Result<Option<UnixMs>, Refusal> {
    let parse = |text: String| {
        parse_iso(&text).ok_or_else(|| {
            Refusal::invalid_input(format!("Invalid {name}. It must be in ISO 8601 format."))
        })
    };
    text.map(parse).transpose()
}

fn view(call: &SellerCall<'_>, id: &u64, report: &Report) -> Value {
    let status = report.status(call);
    let mut view = json!({
        "reportId": id.to_string(),
        "reportType": report.kind.name(),
        "marketplaceIds": report.marketplace_ids,
        "dataStartTime": iso_ms(report.from),
        "dataEndTime": iso_ms(report.until),
        "createdTime": iso_ms(report.created),
        "processingStatus": status.name(),
    });
    if matches!(status, Status::InProgress | Status::Done) {
        view["processingStartTime"] = json!(iso_ms(report.starts(call)));
    }
    if status == Status::Done {
        view["processingEndTime"] = json!(iso_ms(report.ends(call)));
        view["reportDocumentId"] = json!(report.document_id);
    }
    view
}

/// What a listing selects; the content of its paging token.
#[derive(Debug, Clone, serde::Serialize, Deserialize)]
struct Filter {
    types: Vec<String>,
    statuses: Vec<String>,
    marketplaces: Vec<String>,
    since: UnixMs,
    until: UnixMs,
    page_size: usize,
    /// Reports from this id up have been listed.
    below: u64,
}

impl Filter {
    fn read(call: &SellerCall<'_>) -> Result<Self, Refusal> {
        let parameters = call.parameters;
        if let Some(token) = parameters.get("nextToken") {
            return Self::from_token(token, call)
                .ok_or_else(|| Refusal::invalid_input("Invalid nextToken."));
        }
        let types = parameters.list("reportTypes");
        if types.is_empty() || types.len() > 10 {
            return Err(Refusal::invalid_input(
                "reportTypes must have 1 to 10 entries.",
            ));
        }
        let retention_ms = (90.0 * DAY_S * 1_000.0) as i64;
        let since = parameters
            .time("createdSince")?
            .unwrap_or(call.now - retention_ms);
        if since < call.now - retention_ms {
            return Err(Refusal::invalid_input(
                "createdSince must be within the last 90 days.",
            ));
        }
        Ok(Self {
            types,
            statuses: parameters.list_of("processingStatuses", STATUSES)?,
            marketplaces: orders::marketplaces(call, "marketplaceIds")?,
            since,
            until: parameters.time("createdUntil")?.unwrap_or(call.now),
            page_size: parameters.number("pageSize", 1, 100)?.unwrap_or(10) as usize,
            below: u64::MAX,
        })
    }

    fn admits(&self, call: &SellerCall<'_>, id: &u64, report: &Report) -> bool {
        let status = report.status(call).name();
        let mut marketplaces = report.marketplace_ids.iter();
        *id < self.below
            && self.types.iter().any(|wanted| wanted == report.kind.name())
            && (self.statuses.is_empty() || self.statuses.iter().any(|wanted| wanted == status))
            && (self.marketplaces.is_empty()
                || marketplaces.any(|id| self.marketplaces.contains(id)))
            && (self.since..=self.until).contains(&report.created)
    }

    fn token_below(&self, below: u64, call: &SellerCall<'_>) -> String {
        let next = Self {
            below,
            ..self.clone()
        };
        opaque::seal(call.world.options.seed, &next)
    }

    fn from_token(token: &str, call: &SellerCall<'_>) -> Option<Self> {
        opaque::open(call.world.options.seed, token)
    }
}
