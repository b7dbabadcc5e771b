//! The shape of an operator's result, and every reason to refuse its arguments.

use super::op::{Element, Op, Shape, Stride, Window};
use mountainpass_sdk::Error;

/// What is known of an array without its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Type {
    /// One size per axis.
    pub shape: Shape,
    /// What stands in it.
    pub element: Element,
}

/// The type of the result; the error names the operator and the shapes.
pub fn infer(op: &Op, args: &[&Type]) -> Result<Type, Error> {
    result(op, args).and_then(sized).map_err(|reason| {
        let shapes: Vec<&Shape> = args.iter().map(|t| &t.shape).collect();
        Error::argument(format!("{} of {shapes:?}: {reason}", name(op)))
    })
}

/// No array of a network is larger than this; it keeps every product of sizes inside 64 bits.
const ELEMENTS_MAX: usize = 1 << 40;

/// The number of elements; `None` past 2^40 of them.
pub fn elements(shape: &[usize]) -> Option<usize> {
    let product = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    product.filter(|n| *n <= ELEMENTS_MAX)
}

/// The shape of two arrays together, as numpy broadcasts: aligned at the last axis.
pub(super) fn joint(a: &[usize], b: &[usize]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (1, n) | (n, 1) => Some(n),
            (m, n) => (m == n).then_some(n),
        })
        .collect()
}

/// No array of a network has more axes; it keeps whatever looks at pairs of them quick.
const AXES_MAX: usize = 64;

fn sized(of: Type) -> Result<Type, String> {
    if of.shape.len() > AXES_MAX {
        return Err(format!("the result would have {} axes", of.shape.len()));
    }
    match elements(&of.shape) {
        Some(0) => Err(format!("the result would be empty, {:?}", of.shape)),
        Some(_) => Ok(of),
        None => Err(format!("the result would be too large, {:?}", of.shape)),
    }
}

/// The operator's name, attributes left out.
pub fn name(op: &Op) -> String {
    let text = match op {
        Op::Constant(_) => "Constant".into(),
        Op::Unary(f) => format!("{f:?}"),
        Op::Binary(f) => format!("{f:?}"),
        other => format!("{other:?}"),
    };
    text.split([' ', '(']).next().unwrap_or_default().to_owned()
}

fn real(shape: Shape) -> Result<Type, String> {
    Ok(Type { shape, element: Element::Real })
}

/// All arguments hold reals, and there are as many as wanted.
fn reals<'a, const N: usize>(args: &[&'a Type]) -> Result<[&'a Shape; N], String> {
    let types: [&Type; N] = args.try_into().map_err(|_| format!("{} arguments, expected {N}", args.len()))?;
    match types.iter().position(|t| t.element != Element::Real) {
        Some(i) => Err(format!("argument {i} holds indices")),
        None => Ok(types.map(|t| &t.shape)),
    }
}

fn one<'a>(args: &[&'a Type]) -> Result<&'a Type, String> {
    let [only]: [&Type; 1] = args.try_into().map_err(|_| format!("{} arguments, expected 1", args.len()))?;
    Ok(only)
}

fn same<const N: usize>(shapes: [&Shape; N]) -> Result<Type, String> {
    if shapes.iter().any(|s| *s != shapes[0]) {
        return Err("the shapes differ".into());
    }
    real(shapes[0].clone())
}

fn result(op: &Op, args: &[&Type]) -> Result<Type, String> {
    match op {
        Op::Input { shape, element, .. } => Ok(Type { shape: shape.clone(), element: *element }),
        Op::Parameter { shape, .. } | Op::Direction { shape, .. } | Op::Fill(_, shape) => real(shape.clone()),
        Op::Constant(constant) => {
            if elements(&constant.shape) != Some(constant.values.len()) {
                return Err(format!("{} values for the shape {:?}", constant.values.len(), constant.shape));
            }
            Ok(Type { shape: constant.shape.clone(), element: constant.values.element() })
        }
        Op::Unary(_) => same(reals::<1>(args)?),
        Op::Binary(_) => same(reals::<2>(args)?),
        Op::Select => same(reals::<3>(args)?),
        Op::Reshape(shape) => {
            let of = one(args)?;
            if elements(shape) != elements(&of.shape) {
                return Err(format!("{shape:?} holds another number of elements"));
            }
            Ok(Type { shape: shape.clone(), element: of.element })
        }
        Op::Transpose(perm) => {
            let of = one(args)?;
            let mut sorted = perm.clone();
            sorted.sort_unstable();
            if !sorted.iter().copied().eq(0..of.shape.len()) {
                return Err(format!("{perm:?} is no permutation of the axes"));
            }
            Ok(Type { shape: perm.iter().map(|&axis| of.shape[axis]).collect(), element: of.element })
        }
        Op::Broadcast(shape) => {
            let of = one(args)?;
            let fits = of.shape.len() == shape.len() && of.shape.iter().zip(shape).all(|(a, b)| a == b || *a == 1);
            if !fits {
                return Err(format!("cannot be repeated to {shape:?}"));
            }
            Ok(Type { shape: shape.clone(), element: of.element })
        }
        Op::Slice { along, shape } => {
            let of = one(args)?;
            within(along, shape, &of.shape)?;
            Ok(Type { shape: shape.clone(), element: of.element })
        }
        Op::Place { along, shape } => {
            let [of] = reals(args)?;
            within(along, of, shape)?;
            real(shape.clone())
        }
        Op::Concat(axis) => concat(*axis, args),
        Op::Gather { axis, shared } => gather(*axis, *shared, args),
        Op::Scatter { axis, size, shared } => scatter([*axis, *size, *shared], args),
        Op::OneHot { classes } => {
            let of = one(args)?;
            if of.element != Element::Index {
                return Err("wants indices".into());
            }
            real(of.shape.iter().copied().chain([*classes]).collect())
        }
        Op::ToReal => match one(args)? {
            Type { shape, element: Element::Index } => real(shape.clone()),
            _ => Err("wants indices".into()),
        },
        Op::ToIndex => {
            let [of] = reals(args)?;
            Ok(Type { shape: of.clone(), element: Element::Index })
        }
        Op::TopK { count } => {
            let [of] = reals(args)?;
            let [before @ .., size] = &of[..] else { return Err("a scalar has no last axis".into()) };
            if count > size {
                return Err(format!("{count} of {size} numbers"));
            }
            Ok(Type { shape: [before, &[*count]].concat(), element: Element::Index })
        }
        Op::Sum(axes) | Op::Largest(axes) => {
            let [of] = reals(args)?;
            let mut shape = of.clone();
            for &axis in axes {
                *shape.get_mut(axis).ok_or_else(|| format!("there is no axis {axis}"))? = 1;
            }
            real(shape)
        }
        Op::Softmax | Op::LogSoftmax => {
            let [of] = reals(args)?;
            if of.is_empty() { Err("a scalar has no last axis".into()) } else { real(of.clone()) }
        }
        Op::MatMul => matmul(reals(args)?),
        Op::Convolve { window, groups } => {
            let [x, w] = reals(args)?;
            let [&[n, height, width, channels], &[_, _, inputs, outputs]] = [&x[..], &w[..]] else {
                return Err("wants an image of 4 axes and a kernel of 4".into());
            };
            kernel(window, *groups, w)?;
            if inputs * groups != channels {
                return Err(format!("{channels} channels, but {groups} groups of {inputs}"));
            }
            let [rows, columns] = places(window, [height, width])?;
            real(vec![n, rows, columns, outputs])
        }
        Op::ConvolveImage { window, groups, size } => {
            let [y, w] = reals(args)?;
            let [&[n, height, width, outputs], &[_, _, inputs, channels]] = [&y[..], &w[..]] else {
                return Err("wants an image of 4 axes and a kernel of 4".into());
            };
            kernel(window, *groups, w)?;
            if places(window, *size)? != [height, width] || outputs != channels {
                return Err(format!("is no result of this window on images of {size:?}"));
            }
            real(vec![n, size[0], size[1], inputs * groups])
        }
        Op::ConvolveKernel { window, groups } => {
            let [x, y] = reals(args)?;
            let [&[n, height, width, channels], &[m, rows, columns, outputs]] = [&x[..], &y[..]] else {
                return Err("wants two images of 4 axes".into());
            };
            if places(window, [height, width])? != [rows, columns] || n != m {
                return Err("the second is no result of this window on the first".into());
            }
            if *groups == 0 || channels % groups != 0 || outputs % groups != 0 {
                return Err(format!("{channels} channels to {outputs} in {groups} groups"));
            }
            real(vec![window.kernel[0], window.kernel[1], channels / groups, outputs])
        }
        Op::SumPool(window) => {
            let [x] = reals(args)?;
            real(pooled(window, x)?)
        }
        Op::SumUnpool { window, size } => {
            let [y] = reals(args)?;
            let &[n, height, width, channels] = &y[..] else { return Err("wants an image of 4 axes".into()) };
            if places(window, *size)? != [height, width] {
                return Err(format!("is no result of this window on images of {size:?}"));
            }
            real(vec![n, size[0], size[1], channels])
        }
        Op::PickMax(window) => {
            let Type { shape, .. } = same(reals::<2>(args)?)?;
            real(pooled(window, &shape)?)
        }
        Op::PlaceMax(window) => {
            let [x, g] = reals(args)?;
            if pooled(window, x)? != *g {
                return Err("the second is no result of this window on the first".into());
            }
            real(x.clone())
        }
    }
}

/// A part of `part` elements by `along` lies inside an array of `whole`.
fn within(along: &[Stride], part: &[usize], whole: &[usize]) -> Result<(), String> {
    if along.len() != whole.len() || part.len() != whole.len() {
        return Err(format!("{} strides to take {part:?} out of {whole:?}", along.len()));
    }
    for (axis, ((by, &count), &size)) in along.iter().zip(part).zip(whole).enumerate() {
        let last = by.step.checked_mul(count.saturating_sub(1) as isize).and_then(|d| by.start.checked_add_signed(d));
        if count == 0 || by.step == 0 || by.start >= size || last.is_none_or(|last| last >= size) {
            return Err(format!("axis {axis}: {count} elements from {} by {} leave {whole:?}", by.start, by.step));
        }
    }
    Ok(())
}

fn concat(axis: usize, args: &[&Type]) -> Result<Type, String> {
    let first = args.first().ok_or("no arguments")?;
    let mut shape = first.shape.clone();
    *shape.get_mut(axis).ok_or_else(|| format!("there is no axis {axis}"))? = 0;
    for arg in args {
        let rest = |s: &Shape| s.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, d)| *d).collect::<Shape>();
        if arg.element != first.element || arg.shape.len() != shape.len() || rest(&arg.shape) != rest(&shape) {
            return Err(format!("the arguments differ beyond axis {axis}"));
        }
        shape[axis] += arg.shape[axis];
    }
    Ok(Type { shape, element: first.element })
}

fn gather(axis: usize, shared: usize, args: &[&Type]) -> Result<Type, String> {
    let &[data, indices] = args else { return Err(format!("{} arguments, expected 2", args.len())) };
    if indices.element != Element::Index {
        return Err("the second wants indices".into());
    }
    if axis >= data.shape.len() {
        return Err(format!("there is no axis {axis}"));
    }
    let own = owned(axis, shared, &data.shape, &indices.shape)?;
    let shape = data.shape[..axis].iter().chain(own).chain(&data.shape[axis + 1..]).copied().collect();
    Ok(Type { shape, element: data.element })
}

/// The axes of indices behind the shared ones, which are the first of the data too.
fn owned<'a>(axis: usize, shared: usize, data: &[usize], indices: &'a [usize]) -> Result<&'a [usize], String> {
    match (indices.get(..shared), indices.get(shared..)) {
        (Some(first), Some(own)) if shared <= axis && data[..shared] == *first => Ok(own),
        _ => Err(format!("the first {shared} axes are not the same")),
    }
}

fn scatter([axis, size, shared]: [usize; 3], args: &[&Type]) -> Result<Type, String> {
    let &[data, indices] = args else { return Err(format!("{} arguments, expected 2", args.len())) };
    if (data.element, indices.element) != (Element::Real, Element::Index) {
        return Err("wants reals and indices".into());
    }
    if axis > data.shape.len() {
        return Err(format!("there is no axis {axis}"));
    }
    let own = owned(axis, shared, &data.shape, &indices.shape)?;
    let end = axis + own.len();
    if data.shape.get(axis..end) != Some(own) {
        return Err(format!("axes {axis}..{end} are not those of the indices"));
    }
    real(data.shape[..axis].iter().chain([&size]).chain(&data.shape[end..]).copied().collect())
}

fn matmul([a, b]: [&Shape; 2]) -> Result<Type, String> {
    let ([before @ .., m, k], [others @ .., l, n]) = (&a[..], &b[..]) else {
        return Err("wants two or more axes".into());
    };
    if before != others || k != l {
        return Err("the sizes do not match".into());
    }
    real(before.iter().chain([m, n]).copied().collect())
}

fn places(window: &Window, size: [usize; 2]) -> Result<[usize; 2], String> {
    let positive = [window.kernel, window.strides, window.dilations].iter().flatten().all(|n| *n > 0);
    if !positive {
        return Err("a window's kernel, strides and dilations are at least 1".into());
    }
    // Beyond this the window is a fault of the file, and its products would leave 64 bits.
    let all = [window.kernel, window.strides, window.dilations, window.begin, window.end];
    if all.iter().flatten().any(|n| *n > 1 << 20) {
        return Err("a window of more than 2^20 rows or columns".into());
    }
    Ok([window.places(0, size[0]), window.places(1, size[1])])
}

fn pooled(window: &Window, x: &[usize]) -> Result<Shape, String> {
    let &[n, height, width, channels] = x else { return Err("wants an image of 4 axes".into()) };
    let [rows, columns] = places(window, [height, width])?;
    Ok(vec![n, rows, columns, channels])
}

fn kernel(window: &Window, groups: usize, w: &[usize]) -> Result<(), String> {
    if w[..2] != window.kernel {
        return Err(format!("the kernel has {:?} taps, the window {:?}", &w[..2], window.kernel));
    }
    if groups == 0 || !w[3].is_multiple_of(groups) {
        return Err(format!("{} outputs in {groups} groups", w[3]));
    }
    Ok(())
}
