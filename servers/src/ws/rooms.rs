//! The rooms of the server `ws`, their members, and the queue of messages of each member.
//!
//! A single lock is held while a message is added to the queues of all members, which gives every room a total order.
//! Queues are bounded in messages and in bytes: a member that falls too far behind is removed, so that it costs the
//! others neither time nor memory. There are no sockets here; connections are in `ws.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_tungstenite::tungstenite::Message;

/// Maximum number and total bytes of messages queued for one member.
const MOST_WAITING: usize = 1024;
const MOST_WAITING_BYTES: usize = 4 << 20;

/// All rooms with at least one member.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    rooms: HashMap<String, Vec<Member>>,
    /// Number of members ever admitted; the next member's number.
    members: u64,
}

#[derive(Debug)]
struct Member {
    number: u64,
    queue: Sender<Message>,
    waiting_bytes: Arc<AtomicUsize>,
}

impl Member {
    /// Queues a message; false if this member has fallen too far behind.
    fn tell(&self, message: &Message) -> bool {
        let bytes = self.waiting_bytes.fetch_add(message.len(), Relaxed) + message.len();
        bytes <= MOST_WAITING_BYTES && self.queue.try_send(message.clone()).is_ok()
    }
}

impl Rooms {
    /// Enters `room`, which is created if it does not exist.
    pub(super) fn join(rooms: &Arc<Self>, room: &str) -> Membership {
        let (queue, heard) = channel(MOST_WAITING);
        let mut open = rooms.lock();
        open.members += 1;
        let number = open.members;
        let waiting_bytes = Arc::<AtomicUsize>::default();
        let member = Member {
            number,
            queue,
            waiting_bytes: waiting_bytes.clone(),
        };
        open.rooms.entry(room.to_owned()).or_default().push(member);
        Membership {
            rooms: rooms.clone(),
            room: room.to_owned(),
            number,
            heard,
            waiting_bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Code under the lock keeps the lists consistent at every step, so poisoning is harmless.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Membership of a room; dropping it leaves the room.
#[derive(Debug)]
pub(super) struct Membership {
    rooms: Arc<Rooms>,
    room: String,
    number: u64,
    heard: Receiver<Message>,
    waiting_bytes: Arc<AtomicUsize>,
}

impl Membership {
    /// Sends `message` to all members of the room, the sender included.
    pub(super) fn say(&self, message: &Message) {
        let mut open = self.rooms.lock();
        if let Some(members) = open.rooms.get_mut(&self.room) {
            members.retain(|member| member.tell(message));
        }
    }

    /// Waits for the next message; `None` once this member was removed for falling behind.
    pub(super) async fn hear(&mut self) -> Option<Message> {
        let message = self.heard.recv().await?;
        self.waiting_bytes.fetch_sub(message.len(), Relaxed);
        Some(message)
    }

    /// The next message, if it is already queued.
    pub(super) fn hear_now(&mut self) -> Option<Message> {
        let message = self.heard.try_recv().ok()?;
        self.waiting_bytes.fetch_sub(message.len(), Relaxed);
        Some(message)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut open = self.rooms.lock();
        let Some(members) = open.rooms.get_mut(&self.room) else {
            return;
        };
        members.retain(|member| member.number != self.number);
        if members.is_empty() {
            open.rooms.remove(&self.room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(member: &mut Membership) -> Vec<String> {
        std::iter::from_fn(|| member.hear_now())
            .map(|message| message.to_string())
            .collect()
    }

    #[test]
    fn only_members_hear_a_room_and_it_ends_with_the_last_one() {
        let rooms = Arc::new(Rooms::default());
        let mut ann = Rooms::join(&rooms, "a");
        let mut ben = Rooms::join(&rooms, "a");
        let mut eve = Rooms::join(&rooms, "b");
        ann.say(&"one".into());
        ben.say(&"two".into());
        assert_eq!(heard(&mut ann), ["one", "two"]);
        drop(ann);
        ben.say(&"three".into());
        assert_eq!(heard(&mut ben), ["one", "two", "three"]);
        assert_eq!(heard(&mut eve), [""; 0]);
        drop((ben, eve));
        assert_eq!(rooms.lock().rooms.len(), 0);
    }

    #[test]
    fn a_slow_member_is_removed_and_the_others_hear_everything() {
        let rooms = Arc::new(Rooms::default());
        let mut quick = Rooms::join(&rooms, "a");
        let mut slow = Rooms::join(&rooms, "a");
        for _ in 0..=MOST_WAITING {
            quick.say(&"x".into());
            assert_eq!(heard(&mut quick), ["x"]);
        }
        assert_eq!(heard(&mut slow).len(), MOST_WAITING);
        assert!(slow.heard.is_closed());
    }

    #[test]
    fn the_queue_of_a_slow_member_is_bounded_in_bytes() {
        let rooms = Arc::new(Rooms::default());
        let mut quick = Rooms::join(&rooms, "a");
        let mut slow = Rooms::join(&rooms, "a");
        let long = Message::from("x".repeat(1 << 20));
        for _ in 0..=4 {
            quick.say(&long);
            assert_eq!(heard(&mut quick).len(), 1);
        }
        assert_eq!(heard(&mut slow).len(), 4);
        assert!(slow.heard.is_closed());
    }
}
