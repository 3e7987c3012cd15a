//! A tree of tasks, and messages, for people.

use nexus_core::id::TaskId;
use nexus_core::message::Message;
use nexus_core::view::TaskView;

use super::tables::colour;
use super::{Screen, age, short, time};

/// Characters of a description that are shown.
const SHOWN: usize = 60;

/// A task and those below it, each indented below its parent. The first of them is the tree's.
pub(crate) fn tree(tasks: &[TaskView], screen: Screen) -> String {
    let mut text = String::new();
    if let Some(first) = tasks.first() {
        branch(first, tasks, 0, screen, &mut text);
    }
    text
}

fn branch(task: &TaskView, tasks: &[TaskView], depth: usize, screen: Screen, text: &mut String) {
    let id = task.task_id;
    let state = if task.cancelling && !task.status.is_terminal() { "cancelling" } else { task.status.as_str() };
    let style = colour(task.status);
    let indent = "  ".repeat(depth);
    let since = task.completed_at.or(task.started_at).unwrap_or(task.created_at);
    let ids: Vec<_> = tasks.iter().map(|task| task.task_id).collect();
    let line = format!(
        "{indent}{}  {style}{state:<10}{style:#} {:>4}  {}  {}",
        screen.id_among(id, &ids),
        age(since),
        task.department,
        short(&task.description, SHOWN)
    );
    text.push_str(&format!("{}\n", screen.cut(&line)));
    for child in tasks.iter().filter(|other| is_child(other, id)) {
        branch(child, tasks, depth + 1, screen, text);
    }
}

fn is_child(task: &TaskView, of: TaskId) -> bool {
    task.parent.is_some_and(|parent| parent.task_id == of)
}

/// A message and who left it.
pub(crate) fn message(message: &Message, screen: Screen) -> String {
    let from = message.from.as_ref().map_or_else(
        || "from outside".to_owned(),
        |from| format!("from {}, task {}", from.department, screen.id(from.task_id)),
    );
    format!("{}  {from}\n    {}\n", time(message.at), screen.hang(message.text.trim_end(), 4))
}
