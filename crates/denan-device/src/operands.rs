//! What an operation reads and makes, without a visit to the heap for the commonest ones.
//!
//! burn-ir hands both out as boxed iterators, which costs a small operation as much as its arithmetic.

use burn_ir::{
    BinaryOpIr, FloatOperationIr as Float, NumericOperationIr as Numeric, OperationIr, ScalarOpIr, TensorIr,
    UnaryOpIr,
};
use smallvec::{SmallVec, smallvec};

/// The tensors of an operation.
pub struct Operands<'a> {
    /// What it reads, in the order of its arguments; one that it reads twice stands there twice.
    pub inputs: SmallVec<[&'a TensorIr; 4]>,
    /// What it makes.
    pub outputs: SmallVec<[&'a TensorIr; 1]>,
}

impl<'a> Operands<'a> {
    /// Those of `op`.
    pub fn of(op: &'a OperationIr) -> Self {
        let few = match op {
            OperationIr::NumericFloat(_, op) | OperationIr::NumericInt(_, op) => numeric(op),
            OperationIr::Float(_, op) => float(op),
            _ => None,
        };
        few.unwrap_or_else(|| Self { inputs: op.inputs().collect(), outputs: op.outputs().collect() })
    }

    /// Elements of the largest of them.
    pub fn most_elements(&self) -> usize {
        let all = self.inputs.iter().chain(&self.outputs);
        all.map(|tensor| tensor.shape.num_elements()).max().unwrap_or(0)
    }

    fn unary(op: &'a UnaryOpIr) -> Self {
        Self { inputs: smallvec![&op.input], outputs: smallvec![&op.out] }
    }

    fn with_scalar(op: &'a ScalarOpIr) -> Self {
        Self { inputs: smallvec![&op.lhs], outputs: smallvec![&op.out] }
    }

    fn binary(op: &'a BinaryOpIr) -> Self {
        Self { inputs: smallvec![&op.lhs, &op.rhs], outputs: smallvec![&op.out] }
    }
}

fn numeric(op: &Numeric) -> Option<Operands<'_>> {
    Some(match op {
        Numeric::Add(op) | Numeric::Sub(op) | Numeric::Mul(op) | Numeric::Div(op) => Operands::binary(op),
        Numeric::AddScalar(op) | Numeric::SubScalar(op) | Numeric::MulScalar(op) | Numeric::DivScalar(op) => {
            Operands::with_scalar(op)
        }
        _ => return None,
    })
}

fn float(op: &Float) -> Option<Operands<'_>> {
    Some(match op {
        Float::Exp(op) | Float::Log(op) | Float::Sqrt(op) | Float::Tanh(op) | Float::Recip(op) => {
            Operands::unary(op)
        }
        Float::PowfScalar(op) => Operands::with_scalar(op),
        Float::Matmul(op) => Operands { inputs: smallvec![&op.lhs, &op.rhs], outputs: smallvec![&op.out] },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_backend::{DType, Shape};
    use burn_ir::{MatmulOpIr, ScalarIr, TensorId, TensorStatus};

    #[test]
    fn the_short_way_gives_what_the_long_one_gives() {
        let tensor = |id, size: usize| TensorIr {
            id: TensorId::new(id),
            shape: Shape::from(vec![size, 3]),
            status: TensorStatus::ReadOnly,
            dtype: DType::F32,
        };
        let (a, b, out) = (tensor(1, 2), tensor(2, 7), tensor(3, 4));
        let binary = || BinaryOpIr { lhs: a.clone(), rhs: b.clone(), out: out.clone() };
        let scalar = || ScalarOpIr { lhs: a.clone(), rhs: ScalarIr::Float(0.5), out: out.clone() };
        let unary = || UnaryOpIr { input: b.clone(), out: out.clone() };
        let matmul = MatmulOpIr { lhs: a.clone(), rhs: b.clone(), out: out.clone() };
        let numeric = [
            Numeric::Add(binary()),
            Numeric::Sub(binary()),
            Numeric::Mul(binary()),
            Numeric::Div(binary()),
            Numeric::AddScalar(scalar()),
            Numeric::SubScalar(scalar()),
            Numeric::MulScalar(scalar()),
            Numeric::DivScalar(scalar()),
            Numeric::Abs(unary()),
        ];
        let float = [
            Float::Exp(unary()),
            Float::Log(unary()),
            Float::Sqrt(unary()),
            Float::Tanh(unary()),
            Float::Recip(unary()),
            Float::PowfScalar(scalar()),
            Float::Matmul(matmul),
            Float::Powf(binary()),
        ];
        let numeric = numeric.into_iter().map(|op| OperationIr::NumericFloat(DType::F32, op));
        let float = float.into_iter().map(|op| OperationIr::Float(DType::F32, op));
        for op in numeric.chain(float) {
            let operands = Operands::of(&op);
            assert!(op.inputs().eq(operands.inputs.iter().copied()), "{op:?}");
            assert!(op.outputs().eq(operands.outputs.iter().copied()), "{op:?}");
            let most = op.inputs().chain(op.outputs()).map(|tensor| tensor.shape.num_elements()).max();
            assert_eq!(Some(operands.most_elements()), most, "{op:?}");
        }
    }
}
