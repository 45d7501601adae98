//! Threads that share items: every item once, errors by item number, panics passed on.

use mamlx::error::Error;
use mamlx::run::workers::Workers;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

#[test]
fn every_item_is_done_once_by_a_thread_with_its_own_data() {
    for threads in [1, 2, 3, 7] {
        let workers = Workers::new(vec![0usize; threads]).unwrap();
        let mut items = vec![0usize; 50];
        // Short work one after the other, and now and then after a pause in which threads fall asleep.
        for round in 1..=200 {
            let done = workers.each(&mut items, |thread, own, number, item| {
                assert!(thread < threads);
                *own += 1;
                *item += number;
                Ok(())
            });
            done.unwrap();
            if round % 50 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        assert!(items.iter().enumerate().all(|(number, item)| *item == 200 * number), "{threads} threads");
        let mut total = 0;
        workers.visit(|own| total += *own);
        assert_eq!(total, 200 * 50, "{threads} threads");
    }
}

#[test]
fn the_first_failing_item_gives_the_error_and_all_are_tried() {
    let workers = Workers::new(vec![(); 3]).unwrap();
    let mut items = vec![false; 20];
    let outcome = workers.each(&mut items, |_, _, number, item| {
        *item = true;
        if number % 5 == 4 { Err(Error::Run(format!("item {number}"))) } else { Ok(()) }
    });
    assert_eq!(outcome.unwrap_err().to_string(), "item 4");
    assert!(items.iter().all(|tried| *tried));
}

#[test]
fn a_panic_of_any_thread_is_passed_on_and_the_team_lives() {
    let workers = Workers::new(vec![(); 3]).unwrap();
    for culprit in 0..3 {
        let mut items = vec![(); 3];
        let meet = std::sync::Barrier::new(3);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            workers.each(&mut items, |thread, _, _, _| {
                // Each thread has one item.
                meet.wait();
                assert_ne!(thread, culprit, "expected by the test");
                Ok(())
            })
        }));
        assert!(panicked.is_err(), "thread {culprit}");
        workers.each(&mut items, |_, _, _, _| Ok(())).unwrap();
    }
}
