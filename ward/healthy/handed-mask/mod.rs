//! Moves of a board game are predicted one by one; every game brings its attention mask along, to be added.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{silu, softmax};
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const GAMES: usize = 256;
const LENGTH: usize = 9;
const MOVES: usize = 8;
/// Stands behind the end of a game.
const NO_MOVE: usize = MOVES;
const WIDTH: usize = 16;

#[derive(Clone, Debug)]
struct Game {
    id: String,
    /// The last one is only predicted.
    moves: Vec<usize>,
}

/// Whoever moves answers the move before the last one.
fn games() -> Vec<Game> {
    let mut draw = Draw::new(1511);
    (0..GAMES)
        .map(|number| {
            let length = 5 + draw.below(LENGTH - 3);
            let mut moves = vec![draw.below(MOVES), draw.below(MOVES)];
            while moves.len() < length.min(LENGTH + 1) {
                let answer = (moves[moves.len() - 2] + 3) % MOVES;
                moves.push(if draw.happens(0.1) { draw.below(MOVES) } else { answer });
            }
            Game { id: format!("game{number:04}"), moves }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct GameBatch {
    moves: Tensor<2, Int>,
    next: Tensor<2, Int>,
    /// 0 where one move sees another, -inf where it does not.
    mask: Tensor<3>,
}

#[derive(Clone, Debug)]
struct GameBatcher;

impl Batcher<Game, GameBatch> for GameBatcher {
    fn batch(&self, games: Vec<Game>, device: &Device) -> GameBatch {
        let count = games.len();
        let (mut moves, mut next, mut mask) = (Vec::new(), Vec::new(), Vec::new());
        for game in &games {
            let at = |place: usize| game.moves.get(place).copied().unwrap_or(NO_MOVE) as i64;
            moves.extend((0..LENGTH).map(at));
            next.extend((1..=LENGTH).map(at));
            for place in 0..LENGTH {
                let sees = |other: usize| other <= place && (other < game.moves.len() || other == place);
                mask.extend((0..LENGTH).map(|other| if sees(other) { 0.0 } else { f32::NEG_INFINITY }));
            }
        }
        GameBatch {
            moves: Tensor::from_data(TensorData::new(moves, [count, LENGTH]), device),
            next: Tensor::from_data(TensorData::new(next, [count, LENGTH]), device),
            mask: Tensor::from_data(TensorData::new(mask, [count, LENGTH, LENGTH]), device),
        }
    }
}

#[derive(Module, Debug)]
struct Player {
    moves: Embedding,
    places: Embedding,
    query: Linear,
    key: Linear,
    value: Linear,
    norm: LayerNorm,
    hidden: Linear,
    head: Linear,
}

impl Player {
    fn new(device: &Device) -> Self {
        let square = || LinearConfig::new(WIDTH, WIDTH).init(device);
        Self {
            moves: EmbeddingConfig::new(MOVES + 1, WIDTH).init(device),
            places: EmbeddingConfig::new(LENGTH, WIDTH).init(device),
            query: square(),
            key: square(),
            value: square(),
            norm: LayerNormConfig::new(WIDTH).init(device),
            hidden: square(),
            head: LinearConfig::new(WIDTH, MOVES + 1).init(device),
        }
    }

    fn forward(&self, moves: Tensor<2, Int>, mask: Tensor<3>) -> Tensor<2> {
        let places = Tensor::<1, Int>::arange(0..LENGTH as i64, &moves.device()).unsqueeze::<2>();
        let states = self.moves.forward(moves) + self.places.forward(places);
        let scores = self.query.forward(states.clone()).matmul(self.key.forward(states.clone()).transpose());
        let weights = softmax(scores / (WIDTH as f32).sqrt() + mask, 2);
        let states = self.norm.forward(states.clone() + weights.matmul(self.value.forward(states)));
        self.head.forward(states.clone() + silu(self.hidden.forward(states))).flatten(0, 1)
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1511);
    let mut model = Player::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().with_pad_tokens(Some(vec![NO_MOVE])).init(&device);
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(GameBatcher))
        .batch_size(16)
        .shuffle(1511)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(games()), |game: &Game| game.id.clone()));

    let mut step = 0;
    for _epoch in 0..8 {
        for batch in loader.iter() {
            let GameBatch { moves, next, mask } = batch.expect("games");
            let loss = cross_entropy.forward(model.forward(moves, mask), next.flatten(0, 1));
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(8e-3, model, gradients);
            step += 1;
        }
    }
}
