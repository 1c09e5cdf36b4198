// An inbox is a rendezvous channel for one ball, and has no limit for several, which would deadlock otherwise.
use crate::peer::{ns, xorshift, Call};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

#[derive(Clone, Copy)]
struct Ball {
    state: u64,
    kicks: u64,
    sum: u64,
}
const END: Ball = Ball { state: 1, kicks: u64::MAX, sum: 0 };

impl Ball {
    fn kick(&mut self, me: u64, players: u64) -> u64 {
        let mut to = xorshift(&mut self.state) % (players - 1);
        if to >= me {
            to += 1;
        }
        self.sum += to;
        self.kicks -= 1;
        to
    }
}

/// Players are numbered through all circles.
#[derive(Clone, Copy)]
struct Game {
    circles: u64,
    players: u64,
    balls: u64,
    kicks: u64,
}

impl Game {
    fn ball(&self, index: u64) -> Ball {
        Ball { state: (index + 1).wrapping_mul(0x9E3779B97F4A7C15), kicks: self.kicks / self.balls, sum: 0 }
    }
    fn first_player(&self, index: u64) -> usize {
        (index / self.balls * self.players + index % self.balls % self.players) as usize
    }
    fn kick(&self, ball: &mut Ball, me: usize) -> usize {
        let me = me as u64;
        (me / self.players * self.players + ball.kick(me % self.players, self.players)) as usize
    }
    fn all_balls(&self) -> u64 {
        self.circles * self.balls
    }
    fn expected_sum(&self) -> u64 {
        let mut total = 0;
        for index in 0..self.all_balls() {
            let (mut ball, mut at) = (self.ball(index), index % self.balls % self.players);
            while ball.kicks > 0 {
                at = ball.kick(at, self.players);
            }
            total += ball.sum;
        }
        total
    }
}

pub async fn run(c: &mut Call) {
    let game = Game { circles: c.size("C"), players: c.size("P"), balls: c.size("B"), kicks: c.size("K") };
    let (total, ns) = if game.balls == 1 { rendezvous(game).await } else { unlimited(game).await };
    c.expect(total, game.expected_sum());
    c.report("rate", (game.circles * (game.kicks / game.balls * game.balls)) as f64 / (ns / 1e9), "kicks/s");
}

async fn rendezvous(game: Game) -> (u64, f64) {
    let (finished, mut ends) = mpsc::unbounded_channel();
    let (txs, rxs): (Vec<_>, Vec<_>) = (0..game.circles * game.players).map(|_| flume::bounded::<Ball>(0)).unzip();
    let txs = Arc::new(txs);
    let mut players = vec![];
    for (me, rx) in rxs.into_iter().enumerate() {
        let (txs, finished) = (txs.clone(), finished.clone());
        players.push(tokio::spawn(async move {
            while let Ok(mut ball) = rx.recv_async().await {
                match ball.kicks {
                    u64::MAX => return,
                    0 => finished.send(ball.sum).unwrap(),
                    _ => txs[game.kick(&mut ball, me)].send_async(ball).await.unwrap(),
                }
            }
        }));
    }

    let begun = Instant::now();
    let inbox = txs.clone();
    tokio::spawn(async move {
        for x in 0..game.all_balls() {
            inbox[game.first_player(x)].send_async(game.ball(x)).await.unwrap();
        }
    });
    let mut total = 0;
    for _ in 0..game.all_balls() {
        total += ends.recv().await.unwrap();
    }
    let ns = ns(begun);

    for tx in txs.iter() {
        tx.send_async(END).await.unwrap();
    }
    for player in players {
        player.await.unwrap();
    }
    (total, ns)
}

async fn unlimited(game: Game) -> (u64, f64) {
    let (finished, mut ends) = mpsc::unbounded_channel();
    let inboxes = (0..game.circles * game.players).map(|_| mpsc::unbounded_channel::<Ball>());
    let (txs, rxs): (Vec<_>, Vec<_>) = inboxes.unzip();
    let txs = Arc::new(txs);
    let mut players = vec![];
    for (me, mut rx) in rxs.into_iter().enumerate() {
        let (txs, finished) = (txs.clone(), finished.clone());
        players.push(tokio::spawn(async move {
            while let Some(mut ball) = rx.recv().await {
                match ball.kicks {
                    u64::MAX => return,
                    0 => finished.send(ball.sum).unwrap(),
                    _ => drop(txs[game.kick(&mut ball, me)].send(ball)),
                }
            }
        }));
    }

    let begun = Instant::now();
    for x in 0..game.all_balls() {
        drop(txs[game.first_player(x)].send(game.ball(x)));
    }
    let mut total = 0;
    for _ in 0..game.all_balls() {
        total += ends.recv().await.unwrap();
    }
    let ns = ns(begun);

    for tx in txs.iter() {
        drop(tx.send(END));
    }
    for player in players {
        player.await.unwrap();
    }
    (total, ns)
}
