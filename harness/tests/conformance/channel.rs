//! Bounded channels: order, back-pressure, closing, and several consumers. (Their timeouts are in `timeout`.)

use photofinish_harness::runtime::{Closed, Receiver, Runtime, Sender, Task};

use crate::peer::{LONG, SHORT, count};
use crate::suite::{Check, checks};

pub(crate) const CHECKS: &[Check] = checks![
    items_come_out_in_the_order_they_went_in,
    a_full_channel_makes_senders_wait_until_there_is_room,
    a_channel_without_senders_is_emptied_and_then_ends,
    a_channel_without_receivers_refuses_items,
    one_of_several_senders_or_receivers_keeps_it_open,
    a_waiting_receiver_hears_of_the_end needs Concurrency,
    a_waiting_sender_hears_of_the_end needs Concurrency,
    several_consumers_get_each_item_once needs Concurrency,
];

fn items_come_out_in_the_order_they_went_in<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (sender, receiver) = runtime.channel(count(50));
        for number in 0..50 {
            sender.send(number).await.expect("there is room");
        }
        for number in 0..50 {
            assert_eq!(receiver.receive().await, Some(number));
        }
    });
}

fn a_full_channel_makes_senders_wait_until_there_is_room<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (sender, receiver) = runtime.channel(count(3));
        for number in 0..3 {
            sender.send(number).await.expect("there is room");
        }
        for number in 3..6 {
            let waiting = runtime.timeout(SHORT, sender.send(number)).await;
            assert!(
                waiting.is_err(),
                "item {number} found room where there is none"
            );
            assert_eq!(receiver.receive().await, Some(number - 3));
            let sent = runtime.timeout(LONG, sender.send(number)).await;
            assert_eq!(sent, Ok(Ok(())));
        }
    });
}

fn a_channel_without_senders_is_emptied_and_then_ends<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (sender, receiver) = runtime.channel(count(2));
        sender.send("last").await.expect("there is room");
        drop(sender);
        assert_eq!(receiver.receive().await, Some("last"));
        assert_eq!(receiver.receive().await, None);
        assert_eq!(receiver.clone().receive().await, None);
    });
}

fn a_channel_without_receivers_refuses_items<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (sender, receiver) = runtime.channel(count(2));
        drop(receiver);
        assert_eq!(sender.send(1).await, Err(Closed));
    });
}

fn one_of_several_senders_or_receivers_keeps_it_open<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (sender, receiver) = runtime.channel(count(2));
        drop((sender.clone(), receiver.clone()));
        let (other_sender, other_receiver) = (sender.clone(), receiver.clone());
        drop((sender, receiver));
        assert_eq!(other_sender.send(1).await, Ok(()));
        assert_eq!(other_receiver.receive().await, Some(1));
    });
}

fn a_waiting_receiver_hears_of_the_end<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (sender, receiver) = runtime.channel::<u32>(count(1));
        let waiting = || {
            let receiver = receiver.clone();
            runtime.spawn(async move { receiver.receive().await })
        };
        let receivers = [waiting(), waiting()];
        let closing = runtime.clone();
        let end = runtime.spawn(async move {
            closing.sleep_until(std::time::Instant::now() + SHORT).await;
            drop(sender);
        });
        for task in receivers {
            assert_eq!(task.join().await, Ok(None));
        }
        assert_eq!(end.join().await, Ok(()));
    });
}

fn a_waiting_sender_hears_of_the_end<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (sender, receiver) = runtime.channel(count(1));
        sender.send(1).await.expect("there is room");
        let task = runtime.spawn(async move { sender.send(2).await });
        runtime.sleep_until(std::time::Instant::now() + SHORT).await;
        drop(receiver);
        assert_eq!(task.join().await, Ok(Err(Closed)));
    });
}

fn several_consumers_get_each_item_once<R: Runtime>(runtime: R) {
    const ITEMS: u32 = 1000;
    runtime.block_on(async {
        let (sender, receiver) = runtime.channel(count(4));
        let consume = |_| {
            let receiver = receiver.clone();
            runtime.spawn(async move {
                let mut consumed = Vec::new();
                while let Some(item) = receiver.receive().await {
                    consumed.push(item);
                }
                consumed
            })
        };
        let produce = |first: u32| {
            let sender = sender.clone();
            runtime.spawn(async move {
                for item in (first..ITEMS).step_by(2) {
                    sender.send(item).await.expect("somebody consumes");
                }
            })
        };
        let consumers: Vec<_> = (0..3).map(consume).collect();
        let producers: Vec<_> = (0..2).map(produce).collect();
        drop((sender, receiver));
        for producer in producers {
            producer.join().await.expect("no producer panics");
        }
        let mut consumed = Vec::new();
        for consumer in consumers {
            consumed.extend(consumer.join().await.expect("no consumer panics"));
        }
        consumed.sort_unstable();
        assert_eq!(consumed, Vec::from_iter(0..ITEMS));
    });
}
