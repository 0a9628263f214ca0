use denan_numerics::{ExponentHistogram, Figures, MantissaBits, Range, Summary, Tally, range, summarize};

#[test]
fn json_keeps_every_figure() {
    for data in [&[][..], &[f32::NAN], &[1.5, -2.0, 0.0, f32::INFINITY]] {
        let (summary, bounds) = (summarize(data), range(data));
        let histogram = ExponentHistogram::of(data, MantissaBits::Three);
        let text = serde_json::to_string(&(summary, bounds, &histogram)).unwrap();
        let read: (Summary, Range, ExponentHistogram) = serde_json::from_str(&text).unwrap();
        assert_eq!(read, (summary, bounds, histogram));
        let mut tally = Tally::new();
        tally.add(data);
        let figures = tally.figures();
        let text = serde_json::to_string(&figures).unwrap();
        assert_eq!(serde_json::from_str::<Figures>(&text).unwrap(), figures);
    }
    let wide = summarize(&[f64::MAX, -f64::MAX]);
    assert_eq!(serde_json::from_str::<Summary>(&serde_json::to_string(&wide).unwrap()).unwrap(), wide);
}
