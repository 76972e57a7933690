//! Numbers out of several measurements.

/// The value below which `part` (0 to 1) of the samples lie; NaN without any.
pub(crate) fn quantile(samples: &[f64], part: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a slice that is far smaller"
    )]
    let at = (part * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

pub(crate) fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

/// How many a second.
pub(crate) fn per_s(count: usize, seconds: f64) -> f64 {
    count_f64(count) / seconds
}

/// Counts here are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) const fn count_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let samples = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(median(&samples).to_bits(), 3.0_f64.to_bits());
        assert_eq!(quantile(&samples, 0.99).to_bits(), 5.0_f64.to_bits());
        assert!(median(&[]).is_nan());
    }
}
