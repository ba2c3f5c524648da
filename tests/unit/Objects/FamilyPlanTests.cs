using CriuPS.Engine.Objects.Family;
using Xunit;

namespace CriuPS.Tests.Objects;

/// <summary>Plans of births, carried out in a model of the kernel: what it makes must be the family that was planned.</summary>
public sealed class FamilyPlanTests
{
    private const int Root = 100, CallersSession = 50, CallersGroup = 60;

    // Each process is "pid:parent session group"; a session or group without a process of its number has lost its leader.
    [Theory]
    [InlineData("one after another", "100:0 100 100, 101:100 101 101, 102:101 101 102, 103:102 101 102")]
    [InlineData("born before its parent's setsid", "100:0 100 100, 101:100 101 101, 102:101 100 100")]
    [InlineData("born two setsid calls before", "100:0 100 100, 101:100 101 101, 102:101 102 102, 103:102 100 100")]
    [InlineData("an orphan from a session below", "100:0 100 100, 101:100 101 101, 102:100 101 101")]
    [InlineData("a dead leader", "100:0 100 100, 102:100 101 101, 103:100 101 103, 104:103 101 104")]
    [InlineData("a dead leader deep below", "100:0 100 100, 101:100 101 101, 102:101 90 90, 103:100 90 90")]
    [InlineData("a leader born in a dead leader's session", "100:0 100 100, 101:100 90 90, 103:101 103 103, 104:103 90 90, 105:100 90 90")]
    [InlineData("two leaders born in a dead leader's session", "100:0 100 100, 101:100 101 101, 102:101 90 90, 103:100 103 103, 104:103 90 90")]
    [InlineData("three, one below another", "100:0 100 100, 101:100 101 101, 102:101 102 102, 103:102 90 90, 104:100 104 104, 105:104 90 90")]
    [InlineData("a dead leader who was born in a dead leader's", "100:0 100 100, 101:100 90 90, 102:101 91 91, 103:101 90 92, 104:100 91 93")]
    [InlineData("two dead leaders crosswise", "100:0 100 100, 101:100 101 101, 102:101 90 90, 103:101 91 91, 104:100 104 104, 105:104 90 90, 106:100 91 91")]
    [InlineData("a job of a shell", "100:0 50 60, 101:100 101 101, 102:101 50 60, 103:100 50 103, 104:103 50 90")]
    public void A_family_is_made(string what, string family) => AssertMade(Parse(family), what);

    [Theory]
    [InlineData("between strangers", "100:0 100 100, 101:100 101 101, 102:100 102 102, 103:102 103 103, 104:103 101 101, 105:103 100 100")]
    [InlineData("of another than a leader", "100:0 100 100, 101:100 101 101, 102:101 101 101, 103:102 100 100")]
    [InlineData("of a dead leader in two places", "100:0 100 100, 101:100 100 101, 102:101 90 90, 103:100 100 103, 104:103 90 90")]
    [InlineData("of the caller", "100:0 50 60, 101:100 101 101, 102:101 101 101, 103:102 50 60")]
    public void A_session_that_nothing_leads_to_is_named(string what, string family)
    {
        FamilyPlan plan = FamilyPlan.Of(Parse(family));
        Assert.True(plan.Objections.Count > 0, what);
        Assert.All(plan.Objections, o => Assert.StartsWith("session ", o.Subject));
    }

    [Theory]
    [InlineData(1, 2000)]
    [InlineData(2001, 4000)]
    public void What_processes_made_of_themselves_can_be_made_again(int first, int last)
    {
        for (int seed = first; seed <= last; seed++)
        {
            AssertMade(Grow(new Random(seed)), $"seed {seed}");
        }
    }

    [Fact]
    public void Many_sessions_are_no_trouble()
    {
        List<FamilyMember> members = [new(Root, 0, Root, Root)];
        for (int i = 1; i <= 3000; i++)
        {
            int pid = Root + i, parent = i % 3 == 0 ? pid - 3 : Root + (i / 3 * 3);
            members.Add(i % 3 == 0 ? new FamilyMember(pid, parent, pid, pid) : new FamilyMember(pid, parent, 100_000 + (i / 4), 100_000 + (i / 4)));
        }

        AssertMade(members, "a long chain");
    }

    private static void AssertMade(IReadOnlyList<FamilyMember> family, string what)
    {
        FamilyPlan plan = FamilyPlan.Of(family);
        string described = $"{what}: {string.Join(", ", family.Select(m => $"{m.Pid}:{m.Parent} {m.Session} {m.Group}"))}";
        Assert.True(plan.Objections.Count == 0, $"{described}: {string.Join("; ", plan.Objections)}");
        IEnumerable<FamilyMember> made = FamilyModel.Made(plan, family[0]).Select(m => m with { IsZombie = false });
        Assert.True(made.OrderBy(m => m.Pid).SequenceEqual(family.Select(m => m with { IsZombie = false }).OrderBy(m => m.Pid)), described);
    }

    // Processes bear, end, leave their groups and sessions, and become subreapers, in any order.
    private static IReadOnlyList<FamilyMember> Grow(Random random)
    {
        bool isJob = random.Next(3) == 0;
        FamilyModel model = new(Root, isJob ? CallersSession : Root, isJob ? CallersGroup : Root);
        int born = Root;
        for (int step = random.Next(20, 120); step > 0; step--)
        {
            List<int> living = [.. model.Family(Root).Where(m => !m.IsZombie).Select(m => m.Pid)];
            int pid = living[random.Next(living.Count)];
            switch (random.Next(10))
            {
                case <= 3:
                    model.Fork(pid, ++born, sibling: pid != Root && random.Next(8) == 0);
                    break;
                case <= 5:
                    model.Setsid(pid);
                    break;
                case 6:
                    model.Setpgid(pid, random.Next(2) == 0 ? pid : living[random.Next(living.Count)]);
                    break;
                case 7:
                    model.SetSubreaper(pid, true);
                    break;
                default:
                    End(model, pid, reaped: random.Next(4) != 0);
                    break;
            }
        }

        return model.Family(Root);
    }

    private static void End(FamilyModel model, int pid, bool reaped)
    {
        if (pid == Root)
        {
            return;
        }

        model.Exit(pid);
        if (reaped)
        {
            model.Reap(pid);
        }
    }

    private static List<FamilyMember> Parse(string family) => [.. family.Split(", ").Select(text =>
    {
        int[] numbers = [.. text.Split(':', ' ').Select(int.Parse)];
        return new FamilyMember(numbers[0], numbers[1], numbers[2], numbers[3]);
    })];
}
