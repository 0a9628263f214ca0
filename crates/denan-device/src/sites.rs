//! Where in the program an operation was called, at some 100 ns.
//!
//! A *site* is one path of calls, from the thread's start down to the operation. Its return
//! addresses are read by following frame pointers, which `denan run` has the build keep; a build
//! without them falls back to the unwinder, some fifty times slower. Addresses are turned into
//! functions and lines only once per site, since a training calls from the same few hundred
//! sites in every step.

use denan_record::model::Place;
use rustc_hash::FxHashMap;

/// Deepest path that is followed. Deeper calls share the site of their innermost part.
const DEEPEST: usize = 256;
/// Steps without a new site after which debug information is given back.
const QUIET_STEPS: u32 = 8;
/// Distinct sites that are kept; a training has hundreds, a runaway recursion must not fill memory.
const MOST_SITES: usize = 100_000;

/// Number of a site, index into [`Sites`].
pub type SiteIndex = u32;

/// The part of the program a site belongs to, told from the functions on its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The user's code, or a layer or loss it called. `tracked` means through burn's autodiff.
    Forward {
        /// The operation is recorded for the backward pass.
        tracked: bool,
    },
    /// Inside `backward()`; the rule is the forward call whose gradient is being computed, e.g. `float_log`.
    Backward {
        /// Name of the rule, `None` outside of any rule (the gradient of the loss itself).
        rule: Option<String>,
    },
    /// Inside an optimizer's step.
    Optimizer {
        /// Type of the optimizer, e.g. `Adam`.
        name: Option<String>,
    },
}

/// One path of calls.
#[derive(Clone, Debug)]
pub struct Site {
    /// Part of the program.
    pub part: Part,
    /// Innermost line of the user's own code.
    pub place: Option<Place>,
    /// The function of burn's tensor that the user, or a layer, called: `std`, `powf_scalar`.
    pub call: Option<String>,
    /// Inside the making or loading of a parameter.
    pub in_parameter: bool,
}

/// All sites seen so far.
pub struct Sites {
    by_path: FxHashMap<u64, SiteIndex>,
    sites: Vec<Site>,
    by_address: FxHashMap<usize, std::sync::Arc<[Frame]>>,
    walk: Option<Walk>,
    renamed: Option<(String, String)>,
    /// Steps since debug information was last read; `None` if none is held.
    quiet_steps: Option<u32>,
}

/// A function on the path; several per address where calls were inlined.
#[derive(Debug)]
struct Frame {
    function: String,
    place: Option<Place>,
}

/// How return addresses are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Walk {
    FramePointers,
    Unwinder,
}

impl Sites {
    /// No site yet. File names that start with the first of `renamed` are told with the second in its place.
    pub fn new(renamed: Option<(String, String)>) -> Self {
        let part = Part::Forward { tracked: false };
        let nowhere = Site { part, place: None, call: None, in_parameter: false };
        Self {
            by_path: FxHashMap::default(),
            sites: vec![nowhere],
            by_address: FxHashMap::default(),
            walk: None,
            renamed,
            quiet_steps: None,
        }
    }

    /// The site itself.
    pub fn get(&self, index: SiteIndex) -> &Site {
        &self.sites[index as usize]
    }

    /// Whether the cheap way of finding sites works in this build; `None` before the first site.
    pub fn is_cheap(&self) -> Option<bool> {
        self.walk.map(|walk| walk == Walk::FramePointers)
    }

    /// The site this call comes from.
    #[inline(never)]
    pub fn here(&mut self) -> SiteIndex {
        let mut path = [0_usize; DEEPEST];
        let walk = *self.walk.get_or_insert_with(choose_walk);
        let depth = match walk {
            Walk::FramePointers => frame_pointers::walk(&mut path),
            Walk::Unwinder => unwind(&mut path),
        };
        let path = &path[..depth];
        let key = path.iter().fold(0_u64, |hash, &address| {
            (hash.rotate_left(5) ^ address as u64).wrapping_mul(0x517c_c1b7_2722_0a95)
        });
        if let Some(&index) = self.by_path.get(&key) {
            return index;
        }
        if self.sites.len() >= MOST_SITES {
            return 0;
        }
        let index = self.sites.len() as SiteIndex;
        let site = self.resolve(path);
        self.sites.push(site);
        self.by_path.insert(key, index);
        index
    }

    /// A step has ended. Debug information takes more memory than many a network, so it is given back when
    /// no site has been resolved for some steps; reading it again takes a moment.
    pub fn step_ended(&mut self) {
        let Some(quiet) = &mut self.quiet_steps else { return };
        *quiet += 1;
        if *quiet > QUIET_STEPS {
            self.quiet_steps = None;
            backtrace::clear_symbol_cache();
        }
    }

    fn resolve(&mut self, path: &[usize]) -> Site {
        self.quiet_steps = Some(0);
        let mut reading = Reading::default();
        for &address in path {
            let frames = self.by_address.entry(address).or_insert_with(|| resolve_address(address)).clone();
            for frame in frames.iter() {
                reading.take(frame);
            }
        }
        let mut site = reading.into_site();
        if let (Some((from, to)), Some(place)) = (&self.renamed, &mut site.place)
            && let Some(rest) = place.file.strip_prefix(from.as_str())
        {
            place.file = format!("{to}{rest}");
        }
        site
    }
}

/// What is learnt on the way from the innermost function outwards.
#[derive(Default)]
struct Reading {
    place: Option<Place>,
    call: Option<String>,
    call_is_known: bool,
    tracked: bool,
    backward: bool,
    rule: Option<String>,
    optimizer: bool,
    optimizer_name: Option<String>,
    in_parameter: bool,
}

impl Reading {
    fn take(&mut self, frame: &Frame) {
        let function = frame.function.as_str();
        if self.place.is_none()
            && let Some(place) = &frame.place
            && is_users(&place.file)
            && !is_derived(function)
        {
            self.place = Some(place.clone());
        }
        // The outermost of the tensor's functions is the call; what it is made of lies within.
        if function.contains("burn_tensor::tensor::") {
            if !self.call_is_known {
                self.call = call_of(function).or(self.call.take());
            }
        } else {
            self.call_is_known |= self.call.is_some();
        }
        if function.contains("burn_autodiff::") {
            self.tracked = true;
            // The outermost one: the compiler merges closures that are alike, so that one of another rule may
            // lie within.
            if function.contains("::backward::Backward<") {
                self.rule = rule_of(function).or(self.rule.take());
            }
            self.backward |= function.contains("AutodiffServer>::backward")
                || function.contains("AutodiffServer::backward")
                || function.contains("Gradients::new");
        }
        // The user's own code may run inside of a parameter too: in a visitor of its module.
        self.in_parameter |= self.place.is_none()
            && (function.contains("burn_core::module::param::")
                || function.contains("burn_nn::initializer::"));
        if function.contains("burn_optim::") && function.contains("::step") {
            self.optimizer = true;
            if self.optimizer_name.is_none() {
                self.optimizer_name = optimizer_of(function);
            }
        }
    }

    fn into_site(self) -> Site {
        let part = if self.backward || self.rule.is_some() {
            Part::Backward { rule: self.rule }
        } else if self.optimizer {
            Part::Optimizer { name: self.optimizer_name }
        } else {
            Part::Forward { tracked: self.tracked }
        };
        Site { part, place: self.place, call: self.call, in_parameter: self.in_parameter }
    }
}

/// `<…::float_log::Log as burn_autodiff::ops::backward::Backward<…>>::backward` → `float_log`.
fn rule_of(function: &str) -> Option<String> {
    let implementor = function.split(" as burn_autodiff::").next()?;
    let mut segments = implementor.rsplit("::");
    let _type_name = segments.next()?;
    let call = segments.next()?;
    let call = call.split('<').next()?;
    call.chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_')
        .then(|| call.to_owned())
        .filter(|call| !call.is_empty())
}

/// `burn_tensor::tensor::api::float::<impl …Tensor<_>>::powf_scalar` → `powf_scalar`.
fn call_of(function: &str) -> Option<String> {
    let function = function.trim_end_matches("::{{closure}}");
    // Arguments of generics come last and may hold paths of their own.
    let function = match function.strip_suffix('>') {
        Some(generic) => generic.rsplit_once("::<")?.0,
        None => function,
    };
    let name = function.rsplit("::").next()?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty();
    is_name.then(|| name.to_owned())
}

/// `<burn_optim::optim::adam::Adam as burn_optim::optim::base::Optimizer>::step` → `Adam`.
fn optimizer_of(function: &str) -> Option<String> {
    let (implementor, rest) = function.split_once(" as burn_optim::")?;
    if !rest.contains("Optimizer>::step") || rest.contains("DynOptimizer") {
        return None;
    }
    let name = implementor.trim_start_matches('<').rsplit("::").next()?;
    (!name.is_empty() && !name.contains('<')).then(|| name.to_owned())
}

/// Whether a function is one that `#[derive(Module)]` writes, which stands at the user's line and is not the
/// user's; a visitor or mapper of a module is.
fn is_derived(function: &str) -> bool {
    function.contains("burn_core::module::")
        && !function.contains("ModuleVisitor>::")
        && !function.contains("ModuleMapper>::")
}

/// Whether a file is part of the user's own program: not of the toolchain, of a registry, or of denan.
fn is_users(file: &str) -> bool {
    const OTHERS: [&str; 6] = [
        "/registry/src/",
        "/rustc/",
        "/git/checkouts/",
        "/library/std/",
        "/denan-device/src/",
        "/real-flex/",
    ];
    // The C library below `main` and below every thread has line tables too.
    file.ends_with(".rs") && !OTHERS.iter().any(|other| file.contains(other))
}

fn resolve_address(address: usize) -> std::sync::Arc<[Frame]> {
    let mut frames = Vec::new();
    // A return address points behind the call, which may already be another line.
    backtrace::resolve((address - 1) as *mut _, |symbol| {
        let function = symbol.name().map(|name| format!("{name:#}")).unwrap_or_default();
        let place = symbol.filename().zip(symbol.lineno()).map(|(file, line)| Place {
            file: file.to_string_lossy().into_owned(),
            line,
            column: symbol.colno().unwrap_or(0),
            function: (!function.is_empty()).then(|| short_function(&function)),
        });
        frames.push(Frame { function, place });
    });
    frames.into()
}

/// `my_crate::model::Net::forward` → `Net::forward`; closures keep their owner.
fn short_function(function: &str) -> String {
    let clean = function.trim_end_matches("::{{closure}}").trim_end_matches("::{closure#0}");
    if clean.contains('<') {
        return clean.to_owned();
    }
    let segments: Vec<&str> = clean.split("::").collect();
    segments[segments.len().saturating_sub(2)..].join("::")
}

/// Frame pointers, if following them finds what the unwinder finds.
fn choose_walk() -> Walk {
    let mut cheap = [0; DEEPEST];
    let depth = frame_pointers::walk(&mut cheap);
    let mut sure = [0; DEEPEST];
    let sure_depth = unwind(&mut sure);
    let cheap = &cheap[..depth];
    if agree(cheap, &sure[..sure_depth]) { Walk::FramePointers } else { Walk::Unwinder }
}

/// Whether the cheap path is the sure one without a gap. The innermost frames differ, being those of
/// the walks themselves; the outermost belong to the C library, which keeps no frame pointers.
fn agree(cheap: &[usize], sure: &[usize]) -> bool {
    const OWN_FRAMES: usize = 6;
    const FOREIGN_FRAMES: usize = 8;
    let is_common = |address: &usize| cheap.contains(address);
    let Some(first) = sure.iter().position(is_common) else { return false };
    let common = sure[first..].iter().take_while(|address| is_common(address)).count();
    first <= OWN_FRAMES && common > 0 && sure.len() - first - common <= FOREIGN_FRAMES
}

#[inline(never)]
fn unwind(path: &mut [usize; DEEPEST]) -> usize {
    let mut depth = 0;
    backtrace::trace(|frame| {
        // The outermost frame of a thread may have no address.
        let address = frame.ip() as usize;
        if address == 0 {
            return false;
        }
        path[depth] = address;
        depth += 1;
        depth < DEEPEST
    });
    depth
}

#[cfg(all(unix, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod frame_pointers {
    //! Reading the chain of frame pointers, within the bounds of this thread's stack.

    use super::DEEPEST;
    use std::cell::Cell;

    thread_local! {
        static STACK_END: Cell<usize> = const { Cell::new(0) };
    }

    /// Return addresses from the inside out; how many there are.
    #[inline(always)]
    pub fn walk(path: &mut [usize; DEEPEST]) -> usize {
        let mut frame: usize;
        // SAFETY: copies a register.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            std::arch::asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags));
            #[cfg(target_arch = "aarch64")]
            std::arch::asm!("mov {}, x29", out(reg) frame, options(nomem, nostack, preserves_flags));
        }
        let end = stack_end();
        let mut lowest = std::ptr::from_ref(&frame) as usize;
        let mut depth = 0;
        while depth < DEEPEST
            && frame > lowest
            && frame.is_multiple_of(align_of::<usize>())
            && frame.saturating_add(2 * size_of::<usize>()) <= end
        {
            // SAFETY: both words lie between a live local of this function and the end of this thread's
            // stack, which is mapped and readable; what they hold is not trusted.
            let (next, address) =
                unsafe { (*(frame as *const usize), *((frame + size_of::<usize>()) as *const usize)) };
            if address < 4096 {
                break;
            }
            path[depth] = address;
            depth += 1;
            lowest = frame;
            frame = next;
        }
        depth
    }

    fn stack_end() -> usize {
        STACK_END.with(|cell| {
            if cell.get() == 0 {
                cell.set(find_stack_end());
            }
            cell.get()
        })
    }

    #[cfg(target_os = "linux")]
    fn find_stack_end() -> usize {
        // SAFETY: the attributes are initialised by the first call, read by the second, and freed by the last.
        unsafe {
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            if libc::pthread_getattr_np(libc::pthread_self(), &mut attributes) != 0 {
                return 1;
            }
            let (mut low, mut size) = (std::ptr::null_mut(), 0);
            let found = libc::pthread_attr_getstack(&attributes, &mut low, &mut size) == 0;
            libc::pthread_attr_destroy(&mut attributes);
            if found { low as usize + size } else { 1 }
        }
    }

    #[cfg(target_os = "macos")]
    fn find_stack_end() -> usize {
        // SAFETY: asks for the bounds of the calling thread.
        unsafe { libc::pthread_get_stackaddr_np(libc::pthread_self()) as usize }
    }

    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    fn find_stack_end() -> usize {
        1
    }
}

#[cfg(not(all(unix, any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod frame_pointers {
    //! No cheap walk on this machine.

    pub fn walk(_: &mut [usize; super::DEEPEST]) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_is_the_same_site() {
        let mut sites = Sites::new(None);
        let found: Vec<_> = (0..3).map(|_| sites.here()).collect();
        assert_eq!(found[0], found[2]);
    }

    #[test]
    fn a_path_with_a_gap_is_not_trusted() {
        assert!(agree(&[3, 4, 5], &[1, 2, 3, 4, 5, 6]));
        assert!(!agree(&[3, 5], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
        assert!(!agree(&[], &[1, 2]));
    }

    #[test]
    fn rules_and_optimizers_are_read_off_function_names() {
        assert_eq!(
            rule_of(
                "<burn_autodiff::ops::tensor::<impl burn_backend::ops::FloatTensorOps<A> for \
                 burn_autodiff::Autodiff<B, C>>::float_sqrt::Sqrt as burn_autodiff::ops::backward::Backward<B, 1>>::backward"
            )
            .as_deref(),
            Some("float_sqrt")
        );
        assert_eq!(
            optimizer_of("<burn_optim::optim::adam::Adam as burn_optim::optim::base::Optimizer>::step")
                .as_deref(),
            Some("Adam")
        );
        for (function, call) in [
            (
                "burn_tensor::tensor::api::float::<impl burn_tensor::tensor::api::base::Tensor<_>>::log",
                Some("log"),
            ),
            ("<burn_tensor::tensor::api::base::Tensor<_> as core::ops::arith::Div>::div", Some("div")),
            ("burn_tensor::tensor::activation::base::softmax::<2>", Some("softmax")),
            ("burn_tensor::tensor::api::base::Tensor<_>::sum::{{closure}}", Some("sum")),
        ] {
            assert_eq!(call_of(function).as_deref(), call, "{function}");
        }
        assert_eq!(optimizer_of("burn_optim::optim::module_optimizer::ModuleOptimizer::step"), None);
    }
}
