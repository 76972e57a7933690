//! Numbers that operators give: weights and caps; for clap.

/// Takes a weight.
///
/// # Errors
/// It is none from 0.01 to 100.
pub fn weight(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|weight| (0.01..=100.0).contains(weight))
        .ok_or_else(|| "must be a number from 0.01 to 100, as in 3 or 0.5".to_owned())
}

/// Takes a cap.
///
/// # Errors
/// It is no whole number from 1 to a million.
pub fn cap(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|cap| (1..=1_000_000).contains(cap))
        .ok_or_else(|| {
            "must be a whole number from 1 to 1000000; to let nothing run, pause it".to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_a_number_between_a_hundredth_and_a_hundred() {
        for (text, number) in [("0.01", 0.01), ("1", 1.0), ("2.5", 2.5), ("100", 100.0)] {
            assert_eq!(weight(text), Ok(number));
        }
        for text in ["", "0", "-1", "0.009", "101", "NaN", "inf", "three", "1,5"] {
            assert!(weight(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cap_is_at_least_one() {
        assert_eq!(cap("1"), Ok(1));
        assert_eq!(cap("1000000"), Ok(1_000_000));
        for text in ["", "0", "-1", "1.5", "1000001", "many"] {
            assert!(cap(text).is_err(), "{text}");
        }
    }
}
