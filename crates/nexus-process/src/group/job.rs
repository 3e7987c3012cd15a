//! A Windows job object: a process and all that it starts, limited together, and ended with the job's last handle.
#![expect(unsafe_code, reason = "job objects have no safe interface")]

use std::ffi::c_void;
use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_CPU_RATE_CONTROL_ENABLE,
    JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_JOB_MEMORY,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOBOBJECT_BASIC_ACCOUNTING_INFORMATION, JOBOBJECT_CPU_RATE_CONTROL_INFORMATION,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JOBOBJECTINFOCLASS, JobObjectBasicAccountingInformation,
    JobObjectCpuRateControlInformation, JobObjectExtendedLimitInformation, QueryInformationJobObject,
    SetInformationJobObject, TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{OpenThread, ResumeThread, THREAD_SUSPEND_RESUME};

use super::bounds::JobBounds;

/// Closed when it is dropped, which ends whatever is in it.
#[derive(Debug)]
pub(super) struct Job(HANDLE);

// SAFETY: a handle is a number that any thread of the process may use; the calls below are safe to make at the same time.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

/// The exit code of a job that is ended from outside: as a shell says it of SIGKILL.
const KILLED: u32 = 137;

impl Job {
    pub(super) fn new(bounds: JobBounds) -> io::Result<Self> {
        // SAFETY: neither attributes nor a name are given.
        let handle = unsafe { CreateJobObjectW(null(), null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        let job = Self(handle);
        // SAFETY: plain numbers and pointers, for which zero is a value.
        let mut limits: JOBOBJECT_EXTENDED_LIMIT_INFORMATION = unsafe { std::mem::zeroed() };
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        if let Some(memory) = bounds.memory {
            limits.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_JOB_MEMORY;
            limits.JobMemoryLimit = memory;
        }
        if let Some(processes) = bounds.processes {
            limits.BasicLimitInformation.LimitFlags |= JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
            limits.BasicLimitInformation.ActiveProcessLimit = processes;
        }
        job.set(JobObjectExtendedLimitInformation, &limits)?;
        if let Some(rate) = bounds.cpu_rate {
            // SAFETY: plain numbers, for which zero is a value.
            let mut cpu: JOBOBJECT_CPU_RATE_CONTROL_INFORMATION = unsafe { std::mem::zeroed() };
            cpu.ControlFlags = JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;
            cpu.Anonymous.CpuRate = rate;
            job.set(JobObjectCpuRateControlInformation, &cpu)?;
        }
        Ok(job)
    }

    fn set<T>(&self, class: JOBOBJECTINFOCLASS, information: &T) -> io::Result<()> {
        let length = u32::try_from(size_of::<T>()).map_err(io::Error::other)?;
        let pointer: *const c_void = std::ptr::from_ref(information).cast();
        // SAFETY: the structure is that of the class, as long as is said, and outlives the call.
        succeeded(unsafe { SetInformationJobObject(self.0, class, pointer, length) })
    }

    /// Takes in a process that was started suspended, and lets it run.
    pub(super) fn take(&self, process: HANDLE, pid: u32) -> io::Result<()> {
        // SAFETY: both handles are open.
        succeeded(unsafe { AssignProcessToJobObject(self.0, process) })?;
        resume(pid)
    }

    /// Ends all that is in it.
    pub(super) fn terminate(&self) {
        // SAFETY: the handle is open.
        unsafe {
            TerminateJobObject(self.0, KILLED);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        // SAFETY: plain numbers, for which zero is a value.
        let mut found: JOBOBJECT_BASIC_ACCOUNTING_INFORMATION = unsafe { std::mem::zeroed() };
        let Ok(length) = u32::try_from(size_of_val(&found)) else { return false };
        let pointer: *mut c_void = std::ptr::from_mut(&mut found).cast();
        // SAFETY: the structure is that of the class, as long as is said, and outlives the call.
        let asked = succeeded(unsafe {
            QueryInformationJobObject(self.0, JobObjectBasicAccountingInformation, pointer, length, null_mut())
        });
        asked.is_ok() && found.ActiveProcesses == 0
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and not used afterwards.
        unsafe {
            CloseHandle(self.0);
        }
    }
}

/// Tells a group of console processes to stop, as Ctrl+Break does. It is not heard by those without our console.
pub(super) fn interrupt(leader: u32) {
    // SAFETY: it takes two numbers.
    unsafe {
        GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, leader);
    }
}

/// Lets the threads of a process run; when it was started suspended there is one.
fn resume(pid: u32) -> io::Result<()> {
    // SAFETY: it takes two numbers.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: plain numbers, for which zero is a value.
    let mut entry: THREADENTRY32 = unsafe { std::mem::zeroed() };
    entry.dwSize = u32::try_from(size_of::<THREADENTRY32>()).unwrap_or_default();
    let mut resumed = Err(io::Error::other("its first thread was not found"));
    // SAFETY: the snapshot is open, and the entry says how long it is.
    let mut more = unsafe { Thread32First(snapshot, &raw mut entry) };
    while more != 0 {
        if entry.th32OwnerProcessID == pid {
            resumed = resume_thread(entry.th32ThreadID);
        }
        // SAFETY: as above.
        more = unsafe { Thread32Next(snapshot, &raw mut entry) };
    }
    // SAFETY: the handle is ours, and not used afterwards.
    unsafe {
        CloseHandle(snapshot);
    }
    resumed
}

fn resume_thread(id: u32) -> io::Result<()> {
    // SAFETY: it takes three numbers.
    let thread = unsafe { OpenThread(THREAD_SUSPEND_RESUME, 0, id) };
    if thread.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is open until it is closed, and ours.
    let result = unsafe {
        let result = ResumeThread(thread);
        CloseHandle(thread);
        result
    };
    if result == u32::MAX { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn succeeded(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
