//! What a blocked customer reads, in English, Spanish and Chinese.

use chrono::DateTime;
use paywall_domain::{Denial, Meter, Timestamp};

/// A language that refusals are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English, for everybody else too.
    #[default]
    En,
    /// Spanish.
    Es,
    /// Chinese, in simplified characters.
    Zh,
}

impl Language {
    /// The language that an `Accept-Language` wants most, of those there are. Anything unreadable is
    /// English.
    pub fn of(accept: &str) -> Self {
        let mut best = (Self::En, 0);
        for part in accept.split(',').take(32) {
            let (range, parameters) = part.split_once(';').unwrap_or((part, ""));
            let primary = range.trim().split(['-', '_']).next().unwrap_or("").to_ascii_lowercase();
            let language = match primary.as_str() {
                "en" => Self::En,
                "es" => Self::Es,
                "zh" => Self::Zh,
                _ => continue,
            };
            let weight = weight(parameters);
            if weight > best.1 {
                best = (language, weight);
            }
        }
        best.0
    }
}

/// `q=0.8` in thousandths; 1000 where nothing is said.
fn weight(parameters: &str) -> u32 {
    let Some(value) = parameters.split(';').find_map(|it| it.trim().strip_prefix("q=")) else { return 1000 };
    value.trim().parse::<f64>().ok().filter(|it| (0.0..=1.0).contains(it)).map_or(0, |it| (it * 1000.0) as u32)
}

/// Why, in one sentence or two, for the customer: never the reason that staff wrote for themselves.
pub(crate) fn why(denial: &Denial, language: Language) -> String {
    use Language::{En, Es, Zh};
    match denial {
        Denial::TrialEnded { ended_at } => match (language, ended_at.and_then(day)) {
            (En, Some(day)) => format!("The free trial ended on {day}."),
            (En, None) => "The free trial has ended.".into(),
            (Es, Some(day)) => format!("La prueba gratuita terminó el {day}."),
            (Es, None) => "La prueba gratuita ha terminado.".into(),
            (Zh, Some(day)) => format!("免费试用已于 {day} 结束。"),
            (Zh, None) => "免费试用已结束。".into(),
        },
        Denial::SubscriptionEnded { ended_at } => match (language, ended_at.and_then(day)) {
            (En, Some(day)) => format!("The subscription ended on {day}."),
            (En, None) => "The subscription has ended.".into(),
            (Es, Some(day)) => format!("La suscripción terminó el {day}."),
            (Es, None) => "La suscripción ha terminado.".into(),
            (Zh, Some(day)) => format!("订阅已于 {day} 结束。"),
            (Zh, None) => "订阅已结束。".into(),
        },
        Denial::PaymentOverdue { since, .. } => match (language, since.and_then(day)) {
            (En, Some(day)) => format!("A payment has been overdue since {day}."),
            (En, None) => "A payment is overdue.".into(),
            (Es, Some(day)) => format!("Hay un pago pendiente desde el {day}."),
            (Es, None) => "Hay un pago pendiente.".into(),
            (Zh, Some(day)) => format!("自 {day} 起有一笔款项逾期未付。"),
            (Zh, None) => "有一笔款项逾期未付。".into(),
        },
        Denial::Suspended { message: Some(message), .. } if !message.trim().is_empty() => message.trim().to_owned(),
        Denial::Suspended { .. } => match language {
            En => "This account is suspended. Please contact support.",
            Es => "Esta cuenta está suspendida. Póngase en contacto con soporte.",
            Zh => "此账户已被停用，请联系客服。",
        }
        .into(),
        Denial::QuotaExhausted { meter, used, limit, resets_at } => {
            quota(*meter, *used, *limit, resets_at.and_then(minute).as_deref(), language)
        }
        Denial::UnknownTenant => match language {
            En => "This account is not known here yet. Please try again in a minute.",
            Es => "Esta cuenta aún no se conoce aquí. Inténtelo de nuevo en un minuto.",
            Zh => "系统尚未识别此账户，请一分钟后重试。",
        }
        .into(),
        Denial::PaywallUnavailable => match language {
            En => "Your plan cannot be checked right now. Please try again in a moment.",
            Es => "No se puede comprobar su plan en este momento. Inténtelo de nuevo en unos instantes.",
            Zh => "目前无法核对您的套餐，请稍后重试。",
        }
        .into(),
    }
}

fn quota(meter: Meter, used: i64, limit: i64, resets: Option<&str>, language: Language) -> String {
    let (used, limit) = (amount(meter, used), amount(meter, limit));
    let name = meter_name(meter, language);
    match (language, resets) {
        (Language::En, Some(at)) => format!("The limit of {limit} {name} is reached ({used} used). It resets at {at}."),
        (Language::En, None) => format!("The limit of {limit} {name} is reached ({used} used)."),
        (Language::Es, Some(at)) => {
            format!("Se ha alcanzado el límite de {limit} {name} ({used} en uso). Se restablece el {at}.")
        }
        (Language::Es, None) => format!("Se ha alcanzado el límite de {limit} {name} ({used} en uso)."),
        (Language::Zh, Some(at)) => format!("{name}已达上限：{used} / {limit}，将于 {at} 重置。"),
        (Language::Zh, None) => format!("{name}已达上限：{used} / {limit}。"),
    }
}

fn meter_name(meter: Meter, language: Language) -> &'static str {
    let names = match meter {
        Meter::Messages => ["messages", "mensajes", "消息数"],
        Meter::Tokens => ["tokens", "tokens", "令牌数"],
        Meter::ApiRequests => ["API requests", "solicitudes de API", "API 请求数"],
        Meter::Documents => ["documents", "documentos", "文档数"],
        Meter::StorageBytes => ["of storage", "de almacenamiento", "存储空间"],
        Meter::Datasets => ["datasets", "conjuntos de datos", "知识库数"],
        Meter::Seats => ["seats", "miembros", "成员数"],
    };
    match language {
        Language::En => names[0],
        Language::Es => names[1],
        Language::Zh => names[2],
    }
}

/// Bytes in the largest unit that leaves a digit before the point, rounded to one after it.
pub(crate) fn amount(meter: Meter, value: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    if meter != Meter::StorageBytes {
        return value.to_string();
    }
    let unit = (0..UNITS.len()).rev().find(|unit| value >= 1 << (10 * unit)).unwrap_or(0);
    if unit == 0 {
        return format!("{value} {}", UNITS[0]);
    }
    // In tenths, whole numbers all the way, so that a limit of 1 GiB is not shown as 0.9.
    let tenths = (i128::from(value) * 10 + (1 << (10 * unit - 1))) >> (10 * unit);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {}", UNITS[unit]),
        (whole, tenth) => format!("{whole}.{tenth} {}", UNITS[unit]),
    }
}

/// What to do about it, as the words of a link; `None` where nothing but waiting helps.
pub(super) fn remedy(denial: &Denial, language: Language) -> Option<&'static str> {
    let words = match denial {
        Denial::TrialEnded { .. } | Denial::SubscriptionEnded { .. } => ["Choose a plan", "Elegir un plan", "选择套餐"],
        Denial::PaymentOverdue { .. } => ["Settle the payment", "Regularizar el pago", "完成付款"],
        Denial::QuotaExhausted { .. } => ["See usage and plans", "Ver uso y planes", "查看用量与套餐"],
        Denial::Suspended { .. } => ["Details", "Detalles", "详情"],
        Denial::UnknownTenant | Denial::PaywallUnavailable => return None,
    };
    Some(match language {
        Language::En => words[0],
        Language::Es => words[1],
        Language::Zh => words[2],
    })
}

/// What a visitor reads in somebody's web page: whose bill it is, and how it stands, is none of the
/// visitor's business.
pub(super) fn visitor(language: Language) -> &'static str {
    match language {
        Language::En => "This assistant is not available at the moment.",
        Language::Es => "Este asistente no está disponible en este momento.",
        Language::Zh => "该助手暂时无法使用。",
    }
}

/// What somebody reads who uses another account's thing without belonging to it.
pub(super) fn stranger(language: Language) -> &'static str {
    match language {
        Language::En => "This belongs to another account, which cannot provide it at the moment.",
        Language::Es => "Esto pertenece a otra cuenta, que no puede ofrecerlo en este momento.",
        Language::Zh => "此内容属于其他账户，该账户暂时无法提供。",
    }
}

fn day(at: Timestamp) -> Option<String> {
    DateTime::from_timestamp_millis(at.0).map(|it| it.format("%Y-%m-%d").to_string())
}

fn minute(at: Timestamp) -> Option<String> {
    DateTime::from_timestamp_millis(at.0).map(|it| it.format("%Y-%m-%d %H:%M UTC").to_string())
}
