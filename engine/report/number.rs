//! Numbers as a person reads them: few digits, aligned columns, a true minus sign, powers of ten with exponents.

pub use crate::counted::{count, counted};

/// Three significant digits: `0.0123`, `1.23×10⁻⁶`, `−146.7`.
pub fn short(x: f64) -> String {
    significant(x, 3)
}

/// A number of significant digits, as a decimal between 0.001 and 100,000, with a power of ten outside.
pub fn significant(x: f64, digits: usize) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    if !x.is_finite() {
        return if x.is_nan() {
            "–"
        } else if x > 0.0 {
            "∞"
        } else {
            "−∞"
        }
        .to_owned();
    }
    // Rust rounds correctly to a number of digits only in the scientific form.
    let scientific = format!("{x:.*e}", digits.max(1) - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-3..5).contains(&exponent) {
        minus(format!("{x:.*}", (digits as i32 - 1 - exponent).max(0) as usize))
    } else {
        minus(format!("{mantissa}×{}", power(exponent)))
    }
}

/// The fewest digits that read back as the same number, for programs: `0.1`, `1.7e308`, `-inf`.
pub fn exact(x: f64) -> String {
    match x == 0.0 || !x.is_finite() || (1e-5..1e16).contains(&x.abs()) {
        true => x.to_string(),
        false => format!("{x:e}"),
    }
}

/// `10⁻⁶`.
pub fn power(exponent: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raised = exponent.to_string().chars().map(|c| c.to_digit(10).map_or('⁻', |d| DIGITS[d as usize])).collect();
    ["10".to_owned(), raised].concat()
}

/// A column of values: equal decimals, so many digits of the largest or as many as it takes to tell the values apart,
/// at most eight in all.
/// Where decimals do not do, five significant digits each.
pub fn column(values: &[f64], digits: i32) -> Vec<String> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let largest = sorted.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    let gaps = sorted.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0);
    let gap = gaps.fold(largest * 10f64.powi(1 - digits), f64::min);
    let whole = if largest > 0.0 { largest.log10().floor() } else { 0.0 };
    let decimals = if gap > 0.0 { (-gap.log10().floor()).clamp(0.0, (7.0 - whole).clamp(0.0, 11.0)) } else { 0.0 };
    // Decimals will do where they leave two significant digits of the least value.
    let least = sorted.iter().filter(|x| **x != 0.0).fold(f64::INFINITY, |least, x| least.min(x.abs()));
    let decimal = (-4.0..7.0).contains(&whole) && least * 10f64.powf(decimals) >= 10.0;
    let write = |x: &f64| match decimal && x.is_finite() {
        true => minus(format!("{x:.*}", decimals as usize)),
        false => significant(*x, 5),
    };
    values.iter().map(write).collect()
}

/// Puts a true minus sign, and none before a zero.
pub fn minus(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let cases = [(0.0123, "0.0123"), (1.234e-6, "1.23×10⁻⁶"), (-146.6995, "−147"), (0.0009996, "9.996×10⁻⁴")];
        for (x, text) in &cases[..3] {
            assert_eq!(short(*x), *text);
        }
        assert_eq!(significant(cases[3].0, 4), cases[3].1);
        assert_eq!([short(0.99999), short(0.0), short(f64::NAN), short(12345.0)], ["1.00", "0", "–", "12345"]);
    }

    #[test]
    fn exact_numbers_read_back() {
        let cases = [(0.1, "0.1"), (3.0, "3"), (1.7e308, "1.7e308"), (-2.5e-9, "-2.5e-9"), (f64::NEG_INFINITY, "-inf")];
        for (x, text) in cases {
            assert_eq!((exact(x).as_str(), text.parse()), (text, Ok(x)));
        }
    }

    #[test]
    fn a_column_tells_its_values_apart() {
        assert_eq!(column(&[0.12216, 0.12181, 0.3], 4), ["0.1222", "0.1218", "0.3000"]);
        assert_eq!(column(&[-146.6995, -108.1667], 4), ["−146.7", "−108.2"]);
        assert_eq!(column(&[1e-12, 1e6], 4), ["1.0000×10⁻¹²", "1.0000×10⁶"]);
        assert_eq!(column(&[0.5, 0.5], 4), ["0.5000", "0.5000"]);
        assert_eq!(column(&[], 4), Vec::<String>::new());
    }
}
